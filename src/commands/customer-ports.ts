import type { EventId } from '../hash.js';
import type { Home } from '../config/home.js';
import { NmktError } from '../errors.js';
import { parseNumber } from '../learning/schema.js';
import { announcePresence, type Presence, type Scope } from '../roles/presence.js';
import type { EngineId } from '../learning/types.js';
import type { HomeFiles } from '../roles/home-files.js';
import { enginesOf, hasSpotChecks, type JobFile } from '../roles/job-file.js';
import type { PublishPorts } from '../roles/publish.js';
import type { Context } from './command.js';

export function homeFiles(home: Home): HomeFiles {
  return {
    write: (name, data) => home.writeFile(name, data),
    read: (name) => home.readFile(name),
    readPart: (name, position, length) => home.readPart(name, position, length),
    readJson: async <T>(name: string) => (await home.readJson(name)) as T | undefined,
    edit: (name) => home.editFile(name),
    remove: (name) => home.removeFile(name),
    forget: (name) => home.forgetFile(name),
    list: (folder) => home.list(folder),
    describe: (name) => home.path(name),
  };
}

/** Jobs that this home posted or works in, in order of their ids. */
export async function jobsOfHome(files: Pick<HomeFiles, 'list'>): Promise<readonly EventId[]> {
  return (await files.list('jobs')).filter((name): name is EventId => /^[0-9a-f]{64}$/.test(name)).sort();
}

/** Locks the home, makes a key where there is none, connects: what a customer's command needs before it writes. */
export async function customerPorts({ deps, progress, signal }: Context): Promise<PublishPorts> {
  const home = await deps.lockedHome();
  const signer = await deps.signer({ create: true });
  return {
    relays: await deps.relays(),
    signer,
    clock: deps.clock,
    random: deps.random,
    files: homeFiles(home),
    journal: (name) => deps.openJournal(home.path(name)),
    events: (name) => deps.openJournal(home.path(name)),
    reader: async () => deps.connectRelays((await deps.relays()).urls),
    progress,
    signal,
    ...(await restoredAt(home)),
  };
}

/** Makes this process known to others of its key; see presence.ts. @throws NmktError `key-in-use` */
export async function presenceOf(ports: PublishPorts, scope: Scope): Promise<Presence> {
  return announcePresence(scope, { ...ports, isSecond: ports.restoredAt !== undefined });
}

/** What a restore left in the home, from a file or from the relays' copy of a job's secrets. */
export async function restoredAt(home: Home): Promise<Pick<PublishPorts, 'restoredAt'>> {
  const mark = (await home.readJson('restored.json')) as { restoredAt?: unknown } | undefined;
  return typeof mark?.restoredAt === 'number' ? { restoredAt: mark.restoredAt } : {};
}

/** The engine here that will repeat what is drawn, loaded once for its id; null for a job without spot checks. @throws `engine-unavailable`, `bad-job` */
export async function checkerOf({ deps, progress }: Context, job: JobFile): Promise<EngineId | null> {
  if (!hasSpotChecks(job)) return null;
  const engine = await deps.engine({ accepted: enginesOf(job) });
  await engine.close();
  progress.note(`drawn segments are repeated on ${engine.id}`);
  return engine.id;
}

export function requireString(value: unknown, flag: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new NmktError('bad-usage', `${flag} is missing`, {
    expected: `${flag} VALUE`,
    got: 'nothing',
    remedy: `add ${flag}`,
  });
}

export function optionalNumber(value: unknown, flag: string, min: number, max: number): number | undefined {
  if (value === undefined) return undefined;
  // Number() would read an empty text, such as a variable that is not set, as 0: here a price of nothing.
  const number = typeof value === 'string' ? parseNumber(value) : Number(value);
  if (number !== undefined && number >= min && number <= max) return number;
  throw new NmktError('bad-usage', `${flag} is out of range`, {
    expected: `a number from ${min} to ${max}`,
    got: JSON.stringify(value),
    // No number of ours: as a price the smallest one would be a gift.
    remedy: `${flag} N, with N from ${min} to ${max}`,
  });
}

export function optionalInteger(value: unknown, flag: string, min: number, max: number): number | undefined {
  const number = optionalNumber(value, flag, min, max);
  if (number === undefined || Number.isSafeInteger(number)) return number;
  throw new NmktError('bad-usage', `${flag} is not a whole number`, {
    expected: `a whole number from ${min} to ${max}`,
    got: JSON.stringify(value),
    remedy: `${flag} ${Math.round(number)}`,
  });
}
