import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { decodeRecord } from '../../src/journal/record-json.js';
import type { NostrEvent } from '../../src/ports.js';
import type { LedgerRecord } from '../../src/wallet/ledger.js';
import { finished, remove, runNmkt, startNmkt, type RunOptions, type RunResult } from './run-nmkt.js';

/** A market of real processes: what its participants print, what the relay stored, what the wallets' books say. */

export type Json = Record<string, unknown>;

export const iris = resolve('examples/iris.csv');
export const irisJob = resolve('examples/jobs/iris.json');

/** A process whose stdout is one JSON object per line. */
export interface Stream {
  readonly child: ChildProcess;
  /** Everything it printed so far. */
  readonly events: readonly Json[];
  readonly end: Promise<RunResult>;
  /** The first object, past or future, that satisfies `wanted`; fails when the process ends without one. */
  event(wanted: (event: Json) => boolean): Promise<Json>;
}

/** Starts nmkt with `--json` and reads what it says from the first byte on. */
export function startStream(args: readonly string[], options: RunOptions = {}): Stream {
  const child = startNmkt([...args, '--json'], options);
  const end = finished(child);
  const events: Json[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  child.stdout!.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) events.push(JSON.parse(line) as Json);
    for (const look of waiting) look();
  });
  const event = (wanted: (event: Json) => boolean): Promise<Json> =>
    new Promise((done, fail) => {
      const look = (): void => {
        const found = events.find(wanted);
        if (found === undefined) return;
        waiting.delete(look);
        done(found);
      };
      waiting.add(look);
      look();
      void end.then(({ status, signal, stderr }) => {
        fail(new Error(`nmkt ${args[0]} ended (${status ?? signal}) before the event: ${stderr.slice(-2000)}`));
      });
    });
  return { child, events, end, event };
}

/** Runs a command that ends by itself; stdout must hold exactly one JSON document. */
export async function runJson(
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult & { readonly document: Json }> {
  const result = await runNmkt([...args, '--json'], options);
  return { ...result, document: oneDocument(result) };
}

export function oneDocument({ stdout, stderr }: Pick<RunResult, 'stdout' | 'stderr'>): Json {
  expect(stdout, stderr).toMatch(/^\{.*\}\n$/);
  return JSON.parse(stdout) as Json;
}

/** A folder that goes when the test ends, after the processes that still wrote to it. */
export function storyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-story-'));
  onTestFinished(() => remove(folder));
  return folder;
}

export interface Sandbox {
  /** Of the whole story: homes and files go beside the sandbox. */
  readonly folder: string;
  readonly dir: string;
  readonly relay: string;
  readonly stream: Stream;
  /** `--settings` and `--home` of a participant; the home is `folder/NAME` unless another is given. */
  as(name: string, home?: string): string[];
  /** Everything the relay ever stored, oldest first. */
  relayEvents(): NostrEvent[];
  books(): Books;
}

export async function startSandbox(trainers: number, folder = storyFolder(), validators = 0): Promise<Sandbox> {
  const dir = join(folder, 'sb');
  const stream = startStream([
    'sandbox',
    '--dir',
    dir,
    '--trainers',
    String(trainers),
    '--validators',
    String(validators),
  ]);
  const { relay } = (await stream.event(({ event }) => event === 'ready')) as { relay: string };
  return {
    folder,
    dir,
    relay,
    stream,
    as: (name, home = name) => ['--settings', join(dir, `${name}.json`), '--home', join(folder, home)],
    relayEvents: () =>
      readFileSync(join(dir, 'relay', 'events.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as NostrEvent),
    books: () => readBooks(join(dir, 'ledger.jsonl')),
  };
}

/** The sandbox's books, added up here and not by the code that wrote them. Msat. */
export interface Books {
  readonly records: number;
  readonly payments: readonly {
    readonly from: string;
    readonly to: string;
    readonly msat: bigint;
    readonly hash: string;
  }[];
  balance(account: string): bigint;
  readonly total: bigint;
}

export function readBooks(path: string): Books {
  const records = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => decodeRecord(line) as LedgerRecord);
  const invoices = new Map<string, { account: string; msat: bigint }>();
  const balances = new Map<string, bigint>();
  const payments: { from: string; to: string; msat: bigint; hash: string }[] = [];
  const holders = new Map<string, string>();
  const add = (account: string, msat: bigint) => balances.set(account, (balances.get(account) ?? 0n) + msat);
  for (const record of records) {
    if (record.type === 'fund') add(record.account, record.msat);
    else if (record.type === 'invoice') invoices.set(record.paymentHash, record);
    else if (record.type === 'transfer')
      for (const { account, msat } of record.to) {
        add(record.from, -msat);
        add(account, msat);
      }
    else if (record.type === 'payment') {
      const { account, msat } = invoices.get(record.paymentHash)!;
      add(record.from, -msat);
      add(account, msat);
      payments.push({ from: record.from, to: account, msat, hash: record.paymentHash });
    } else if (record.type === 'hold') {
      holders.set(record.paymentHash, record.from);
      add(record.from, -invoices.get(record.paymentHash)!.msat);
    } else if (record.type === 'settle') {
      const { account, msat } = invoices.get(record.paymentHash)!;
      add(account, msat);
      payments.push({ from: holders.get(record.paymentHash)!, to: account, msat, hash: record.paymentHash });
    } else if (record.type === 'cancel' && holders.has(record.paymentHash))
      add(holders.get(record.paymentHash)!, invoices.get(record.paymentHash)!.msat);
  }
  return {
    records: records.length,
    payments,
    balance: (account) => balances.get(account) ?? 0n,
    total: [...balances.values()].reduce((sum, msat) => sum + msat, 0n),
  };
}

export interface Payment {
  readonly payee: string;
  readonly amountMsat: number;
  readonly invoice: string | null;
  readonly paymentHash: string | null;
  readonly preimage: string | null;
  readonly countersigned: string | null;
}

/** Every payment in a collected model's provenance. */
export function paymentsOf(modelDir: string): Payment[] {
  const provenance = JSON.parse(readFileSync(join(modelDir, 'provenance.json'), 'utf8')) as {
    rounds: { payments: Payment[] }[];
  };
  return provenance.rounds.flatMap((round) => round.payments);
}

export function hashOfPreimage(preimage: string): string {
  return createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
}

/** Every file below a folder, by its path inside it. */
export function filesBelow(folder: string): Map<string, Buffer> {
  return new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(folder, name)).isFile())
      .sort()
      .map((name) => [name, readFileSync(join(folder, name))]),
  );
}

/** Whether bytes occur in any of the haystacks: as they are, as hex, or inside a longer base64 text. */
export function occursIn(bytes: Uint8Array, haystacks: readonly Buffer[]): boolean {
  const needles = [Buffer.from(bytes), Buffer.from(Buffer.from(bytes).toString('hex')), ...base64Forms(bytes)];
  return haystacks.some((haystack) => needles.some((needle) => haystack.includes(needle)));
}

/** Three bytes become four characters, so a text shows one of three forms; characters shared with neighbours left out. */
function base64Forms(bytes: Uint8Array): Buffer[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const from = Math.ceil((before * 8) / 6);
    const to = Math.floor(((before + bytes.length) * 8) / 6);
    return Buffer.from(text.slice(from, to));
  });
}
