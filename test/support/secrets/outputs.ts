import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * One run of the tests leaves here which secrets it made and everything that it showed to anybody. Tests of several
 * workers write at once: each appends to files of its own. The global setup makes the folder; without it nothing is kept.
 */

export const RUN_VARIABLE = 'NMKT_TEST_RUN';
export const runDir = (): string | undefined => process.env[RUN_VARIABLE];

/** What a test gives to a process or makes itself: `text` may be what a user types, which is a secret or holds one. */
export interface Given {
  readonly kind: 'key or wallet' | 'password' | 'key' | 'salt';
  readonly text: string;
}

const keptGiven = new Set<string>();

function append(given: readonly Given[]): void {
  const lines = given.map((one) => `${JSON.stringify(one)}\n`).filter((line) => !keptGiven.has(line));
  if (runDir() === undefined || lines.length === 0) return;
  for (const line of lines) keptGiven.add(line);
  appendFileSync(join(runDir()!, `given-${process.pid}.ndjson`), lines.join(''), { mode: 0o600 });
}

/** @param secret  32 bytes that no output may show. @returns the same */
export function keepSecret<T extends Uint8Array>(secret: T): T {
  append([{ kind: 'key', text: Buffer.from(secret).toString('hex') }]);
  return secret;
}

/** @param salt  of a commitment that no file of a home holds. @returns the same */
export function keepSalt(salt: Uint8Array): Uint8Array {
  append([{ kind: 'salt', text: Buffer.from(salt).toString('hex') }]);
  return salt;
}

/** @returns the same */
export function keepPassword(text: string): string {
  append([{ kind: 'password', text }]);
  return text;
}

/** Environment of a process that a test starts, and what it types on its stdin. */
export function keepGiven(env: NodeJS.ProcessEnv = {}, stdin = ''): void {
  const given: Given[] = [env['NMKT_KEY'], env['NMKT_WALLET'], stdin].flatMap((text) =>
    text === undefined || text === '' || text.length > 10_000 ? [] : [{ kind: 'key or wallet', text }],
  );
  for (const text of [env['NMKT_KEY_PASSWORD'], env['NMKT_BACKUP_PASSWORD']])
    if (text !== undefined) given.push({ kind: 'password', text });
  append(given);
}

const FLUSH_BYTES = 1 << 18;
const kept = new Map<string, { chunks: Buffer[]; bytes: number }>();

/** What a process printed, a relay stored, or the system shows: searched at the end of the run, for the secrets of all tests. */
export function keepOutput(name: string, chunk: string | Uint8Array): void {
  if (runDir() === undefined) return;
  const output = kept.get(name) ?? { chunks: [], bytes: 0 };
  kept.set(name, output);
  const bytes = Buffer.from(chunk);
  output.chunks.push(bytes);
  output.bytes += bytes.length;
  if (output.bytes > FLUSH_BYTES) flush(name);
}

const seen = new Set<string>();

/** An event that a relay without sockets took. */
export function keepEvent(event: { readonly id: string }): void {
  if (runDir() === undefined || seen.has(event.id)) return;
  seen.add(event.id);
  keepOutput('events', `${JSON.stringify(event)}\n`);
}

function flush(name: string): void {
  const folder = join(runDir()!, 'outputs');
  mkdirSync(folder, { recursive: true });
  appendFileSync(join(folder, `${process.pid}-${name}`), Buffer.concat(kept.get(name)!.chunks));
  kept.delete(name);
}

export function flushOutputs(): void {
  for (const name of [...kept.keys()]) flush(name);
}

const atEnd: (() => void)[] = [];

/** Done when the test, or the file, is over. */
export function doAtEnd(work: () => void): void {
  if (runDir() !== undefined) atEnd.push(work);
}

export function endTest(): void {
  for (const work of atEnd.splice(0)) work();
}
