import { cpSync, existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { JOB_KINDS, KINDS } from '../../src/protocol/kinds.js';
import type { NostrEvent } from '../../src/ports.js';
import { decodeRecord } from '../../src/journal/record-json.js';
import type { SignedRecord } from '../../src/roles/job-book.js';
import type { RunResult } from './run-nmkt.js';
import { iris, paymentsOf, readBooks, runJson, startSandbox, startStream, storyFolder, type Stream } from './story.js';

/**
 * A market of real processes that runs again and again from one awarded state, killed at facts: lines that its files have.
 * Ports and paths are those of the state, so only one runs at a time.
 */

export const ROLES = ['customer', 'trainer-1', 'trainer-2', 'sandbox'] as const;
export type Role = (typeof ROLES)[number];
const TRAINERS = ['trainer-1', 'trainer-2'] as const;
const ROUNDS = 3;
const PRICE_MSAT = 100_000n;
/** On `key-sale` a validator scores; it is not killed. */
export type KillRail = 'instalments' | 'key-sale';
/** All deadlines are longer than any restart. */
const JOB = {
  ...{ model: 'logreg', rounds: ROUNDS, trainers: 2, quorum: 2, localSteps: 120, batch: 8, acceptedEngines: 'wasm' },
  ...{ maxPriceSats: 100, bidWindow: '10m', readyTimeout: '10m', roundTimeout: '10m', revealTimeout: '10m' },
};

/** The market's folder has so many lines in this file. */
export interface Fact {
  readonly file: string;
  readonly lines: number;
}
export interface Kill extends Fact {
  readonly role: Role;
  readonly signal: 'SIGKILL' | 'SIGINT';
}

/** Every home and the sandbox's folder just after all trainers said `ready`. */
export interface AwardedState {
  readonly rail: KillRail;
  readonly folder: string;
  readonly job: string;
}

export interface Outcome {
  /** Carried out before the market ended. */
  readonly kills: number;
  readonly model: string;
  readonly balances: readonly bigint[];
  /** Lines of each watched file at the beginning and at the end. */
  readonly lines: ReadonlyMap<string, readonly [number, number]>;
}

/** Files that grow with the job, one or more for each role. */
export function watchedFiles(job: string): readonly string[] {
  const events = (home: string) => join(home, 'jobs', job, 'events.jsonl');
  return [
    events('customer'),
    join('customer', 'payouts.jsonl'),
    ...TRAINERS.map(events),
    join('sb', 'relay', 'events.jsonl'),
    join('sb', 'ledger.jsonl'),
  ];
}

export function countLines(path: string): number {
  if (!existsSync(path)) return 0;
  let count = 0;
  for (const byte of readFileSync(path)) if (byte === 10) count++;
  return count;
}

/** Resolves once the file has so many lines; looks whenever its folder changes. */
function reached(folder: string, { file, lines }: Fact, stop: AbortSignal): Promise<boolean> {
  const path = join(folder, file);
  return new Promise((resolve, reject) => {
    const watcher = watch(dirname(path));
    const give = (): void => end(false);
    const end = (isThere: boolean): void => {
      stop.removeEventListener('abort', give);
      watcher.close();
      resolve(isThere);
    };
    const look = (): void => {
      if (countLines(path) >= lines) end(true);
    };
    watcher.on('change', look).on('error', reject);
    stop.addEventListener('abort', give, { once: true });
    look();
  });
}

function commandsOf(folder: string, job: string): Readonly<Record<Role | 'validator-1', readonly string[]>> {
  const as = (name: string) => ['--settings', join(folder, 'sb', `${name}.json`), '--home', join(folder, name)];
  const serve = (name: string) => ['serve-trainer', ...as(name), '--price', '100', '--job', job, '--once'];
  return {
    customer: ['collect-model', job, '--out', join(folder, 'model'), ...as('customer')],
    'trainer-1': serve('trainer-1'),
    'trainer-2': serve('trainer-2'),
    'validator-1': ['serve-validator', ...as('validator-1'), '--fee', '0', '--job', job, '--once'],
    sandbox: ['sandbox', '--dir', join(folder, 'sb'), '--trainers', '2', '--validators', '1'],
  };
}

/** Publishes, posts, lets everybody begin, and stops them all with Ctrl-C once both trainers are ready. */
export async function awardedState(rail: KillRail = 'instalments'): Promise<AwardedState> {
  const folder = storyFolder();
  const sandbox = await startSandbox(TRAINERS.length, folder, 1);
  const file = join(folder, 'job.json');
  writeFileSync(file, JSON.stringify({ ...JOB, rail, validators: validatorsOf(rail).length }));
  const published = await runJson([
    ...['publish-dataset', iris, '--label', 'species', '--shards', '2', '--job', file],
    ...sandbox.as('customer'),
  ]);
  expect(published.status, published.stderr).toBe(0);
  const job = published.document['job'] as string;
  const commands = commandsOf(folder, job);
  const running = (['customer', ...TRAINERS, ...validatorsOf(rail)] as const).map((role) =>
    startStream(commands[role]),
  );
  const isReady = new AbortController();
  const readies = (): number =>
    relayEvents(folder).filter(
      ({ kind, tags }) => kind === KINDS.notice && tags.some(([name, value]) => name === 'phase' && value === 'ready'),
    ).length;
  const log = join('sb', 'relay', 'events.jsonl');
  for (let lines = 0; readies() < TRAINERS.length; lines = countLines(join(folder, log)))
    await reached(folder, { file: log, lines: lines + 1 }, isReady.signal);
  for (const { child } of running) child.kill('SIGINT');
  for (const { end } of running) expect(await end).toMatchObject({ status: 130, signal: null });
  sandbox.stream.child.kill('SIGINT');
  expect((await sandbox.stream.end).status).toBe(0);
  return { rail, folder, job };
}

const validatorsOf = (rail: KillRail): readonly 'validator-1'[] => (rail === 'key-sale' ? ['validator-1'] : []);

/** Of one job's market, oldest first. */
function relayEvents(folder: string): NostrEvent[] {
  const text = readFileSync(join(folder, 'sb', 'relay', 'events.jsonl'), 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as NostrEvent);
}

/**
 * Runs a copy of the state to its end. Whoever is killed is started again with the same command, and so is a customer whose
 * status says that payouts are left.
 *
 * @param kills  one after the other, each once its fact is there
 */
export async function finish({ rail, folder: from, job }: AwardedState, kills: readonly Kill[] = []): Promise<Outcome> {
  const folder = storyFolder();
  cpSync(from, folder, { recursive: true });
  const begin = new Map(watchedFiles(job).map((file) => [file, countLines(join(folder, file))]));
  const commands = commandsOf(folder, job);
  const running = new Map<string, Stream>();
  const struck = new Map<string, Kill>();
  const over = new AbortController();

  /** Resolves once a run of the command ended well. */
  const live = async (role: Role | 'validator-1'): Promise<void> => {
    for (;;) {
      const stream = startStream(commands[role]);
      running.set(role, stream);
      const { status, signal, stderr } = await stream.end;
      const kill = struck.get(role);
      struck.delete(role);
      if (kill !== undefined) expectStopped(kill, { status, signal, stderr });
      else if (status === 0) return;
      else if (status !== 7) throw new Error(`${role} ended with ${status ?? signal}: ${stderr.slice(-3000)}`);
    }
  };
  let kept = 0;
  const strike = async (): Promise<void> => {
    for (const kill of kills) {
      // A killed run may write fewer lines than the quiet one, whose lines the kills were drawn from.
      if (!(await reached(folder, kill, over.signal))) return;
      const stream = running.get(kill.role)!;
      struck.set(kill.role, kill);
      if (!stream.child.kill(kill.signal)) throw new Error(`${kill.role} had ended before ${spell(kill)}`);
      await stream.end;
      kept++;
    }
  };
  const sandbox = live('sandbox');
  await running.get('sandbox')!.event(({ event }) => event === 'ready');
  const paid = Promise.all((['customer', ...TRAINERS, ...validatorsOf(rail)] as const).map(live)).finally(() =>
    over.abort(),
  );
  await Promise.all([paid, strike(), Promise.race([paid, sandbox])]);
  running.get('sandbox')!.child.kill('SIGTERM');
  await sandbox;
  return { ...outcomeOf(folder, job, begin), kills: kept };
}

export function spell({ role, signal, file, lines }: Kill): string {
  return `${signal} of ${role} at line ${lines} of ${file}`;
}

function expectStopped(kill: Kill, { status, signal, stderr }: Pick<RunResult, 'status' | 'signal' | 'stderr'>): void {
  if (kill.signal === 'SIGKILL') return expect(signal, spell(kill)).toBe('SIGKILL');
  // For a server stopping is how it ends.
  expect(status, `${spell(kill)}: ${stderr}`).toBe(kill.role === 'sandbox' ? 0 : 130);
  if (kill.role !== 'sandbox') expect(stderr).toContain('run the same command again to go on');
}

/** Read from the files of everybody; what must hold after any run is checked here. */
function outcomeOf(folder: string, job: string, begin: ReadonlyMap<string, number>): Omit<Outcome, 'kills'> {
  const books = readBooks(join(folder, 'sb', 'ledger.jsonl'));
  const proven = paymentsOf(join(folder, 'model')).map(({ paymentHash }) => paymentHash);
  expect(books.payments).toHaveLength(ROUNDS * TRAINERS.length);
  expect(proven.sort()).toEqual(books.payments.map(({ hash }) => hash).sort());
  for (const { msat } of books.payments) expect(msat).toBe(PRICE_MSAT);

  const events = relayEvents(folder);
  const chained = events.filter(({ kind }) => JOB_KINDS.includes(kind));
  const places = chained.map(({ pubkey, tags }) => `${pubkey} ${tags.find(([name]) => name === 'seq')![1]}`);
  expect(new Set(places).size).toBe(chained.length);
  const published = new Set(events.map(({ id }) => id));
  for (const file of watchedFiles(job).filter((name) => name.endsWith(join(job, 'events.jsonl'))))
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1))
      expect(published).toContain((decodeRecord(line) as SignedRecord).event.id);

  const provenance = JSON.parse(readFileSync(join(folder, 'model', 'provenance.json'), 'utf8')) as {
    artifact: { weightsSha256: string };
  };
  return {
    model: provenance.artifact.weightsSha256,
    balances: ['customer', ...TRAINERS].map((name) => books.balance(name)),
    lines: new Map([...begin].map(([file, lines]) => [file, [lines, countLines(join(folder, file))]])),
  };
}
