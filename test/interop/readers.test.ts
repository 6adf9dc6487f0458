import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { KINDS } from '../../src/protocol/kinds.js';
import { runJson, startSandbox } from '../support/story.js';
import { goNostr, nak, nostrSdk, PYTHON, requireProgram, type Program } from './programs.js';
import { wholeJob } from './whole-job.js';

/** What nmkt writes and prints, read by programs that share no code with it. */

interface Reader {
  readonly name: string;
  readonly install: () => Promise<Program>;
  /** Checks id and signature of one event a line. @returns what it says; nothing when all are right */
  readonly verify: (program: string, events: string) => string;
  /** @returns a text that holds what a NIP-19 name stands for */
  readonly decode: (program: string, name: string) => string;
}

const readers: readonly Reader[] = [
  {
    name: 'nak',
    install: nak,
    verify(program, events) {
      const { status, stdout, stderr } = run(program, ['verify'], events);
      return status === 0 ? stdout : `${status}: ${stderr}`;
    },
    decode: (program, name) => run(program, ['decode', name], '').stdout,
  },
  {
    name: 'go-nostr',
    install: goNostr,
    verify: (program, events) => wrongOf(run(program, ['events'], events), events),
    decode: (program, name) => run(program, ['names'], `${name}\n`).stdout,
  },
  {
    name: 'rust-nostr',
    install: nostrSdk,
    verify: (program, events) => wrongOf(run(PYTHON, [script, 'events'], events, { PYTHONPATH: program }), events),
    decode: (program, name) => run(PYTHON, [script, 'names'], `${name}\n`, { PYTHONPATH: program }).stdout,
  },
];
const script = fileURLToPath(new URL('./read-nostr.py', import.meta.url));

function run(program: string, words: readonly string[], input: string, env: Readonly<Record<string, string>> = {}) {
  return spawnSync(program, words, { input, encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });
}

/** What a reader says that answers `right`, or something else, to each event. */
function wrongOf({ status, stdout, stderr }: ReturnType<typeof run>, events: string): string {
  if (status !== 0) return stderr;
  const answers = stdout.trimEnd().split('\n');
  if (answers.length !== events.trimEnd().split('\n').length) return `${answers.length} answers`;
  return answers.filter((line) => line !== 'right').join('\n');
}

describe.each(readers)('$name', ({ install, verify, decode }) => {
  let program: Program;
  beforeAll(async () => void (program = await install()), 600_000);

  it('verifies every event of a job, and reads the names that nmkt prints', { timeout: 300_000 }, async (context) => {
    const path = requireProgram(context, program);
    const sandbox = await startSandbox(2);
    const { dump, dataset, job, invitation, customer } = await wholeJob(sandbox);
    const text = readFileSync(dump, 'utf8');
    const lines = text.trimEnd().split('\n');
    console.log(`${lines.length} events of kinds ${countKinds(lines)}`);
    expect(lines.length).toBeGreaterThan(30);
    expect(verify(path, text)).toBe('');
    const tampered = lines[3]!.replace(/"sig":"(..)/, (_, byte: string) => `"sig":"${byte === '00' ? '01' : '00'}`);
    expect(verify(path, `${tampered}\n`)).not.toBe('');

    const { key } = (await runJson(['whoami', ...customer])).document as { key: { npub: string; pubkey: string } };
    expect(decode(path, key.npub)).toContain(key.pubkey);
    const listing = sandbox.relayEvents().find((event) => event.kind === KINDS.listing)!;
    const addressed = [
      key.pubkey,
      String(KINDS.listing),
      listing.tags.find(([name]) => name === 'd')![1]!,
      sandbox.relay,
    ];
    const address = decode(path, dataset);
    for (const part of addressed) expect(address).toContain(part);
    const event = decode(path, invitation);
    for (const part of [job, key.pubkey, sandbox.relay]) expect(event).toContain(part);
  });
});

function countKinds(lines: readonly string[]): string {
  const counts = new Map<number, number>();
  for (const line of lines) {
    const { kind } = JSON.parse(line) as { kind: number };
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${count} of ${kind}`).join(', ');
}
