import { readFile, stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import type { ArenaState } from '../market/arena/state.js';
import type { JobState } from '../market/state.js';
import { collectArenaKeys, parseArenaAuditKeys, type ArenaAuditKeys } from '../roles/arena/audit-keys.js';
import { parseAuditKeys, type AuditKeys } from '../roles/audit.js';
import { collectAuditKeys, collectDataKeys } from '../roles/collect.js';
import type { JobSecrets } from '../roles/customer-env.js';
import { isWithoutKey } from '../roles/epoch.js';
import type { SignedRecord } from '../roles/job-book.js';
import { arenaFile, eventsFile, secretsFile } from '../roles/job-files.js';
import type { Context } from './command.js';

/** Where an auditor's keys come from: a file of the customer, or its own home. */

/** A job of 1,024 trainers and 1,000 rounds stays below. */
const MAX_KEYS_BYTES = 2 ** 29;
/** So long a running customer may take from signing to publishing. */
const PUBLISH_SEC = 60;

/** Of a job of any kind. */
export type GivenKeys = AuditKeys | ArenaAuditKeys;

/** @throws NmktError `bad-usage` when they are of a job of another kind */
export function federatedKeys(keys: GivenKeys): AuditKeys {
  if (!('mode' in keys)) return keys;
  throw otherKind('keys of a federated job');
}

/** @throws NmktError `bad-usage` when they are of a job of another kind */
export function arenaKeys(keys: GivenKeys): ArenaAuditKeys {
  if ('mode' in keys) return keys;
  throw otherKind('keys of an arena');
}

export function otherKind(expected: string): NmktError {
  return new NmktError('bad-usage', '--keys holds keys of a job of another kind', {
    ...{ expected, got: 'keys of another one' },
    remedy: 'ask the customer for the file, or leave out --keys',
  });
}

/** @throws NmktError `bad-usage` when the file is not there or holds something else */
export async function readKeys(file: string, job: EventId): Promise<GivenKeys> {
  const fail = (got: string, cause?: unknown): never => {
    throw new NmktError('bad-usage', `${file} does not hold the audit keys of this job`, {
      expected: `the audit-keys.json or audit-data.json that collect-model wrote for job ${job}`,
      got,
      remedy: 'ask the customer for the file, or leave out --keys',
      cause,
    });
  };
  try {
    const { size } = await stat(file);
    if (size > MAX_KEYS_BYTES) return fail(`${size} bytes`);
    const text = await readFile(file, 'utf8');
    const keys = isOfArena(text) ? parseArenaAuditKeys(text) : parseAuditKeys(text);
    return keys.job === job ? keys : fail(`the keys of job ${keys.job}`);
  } catch (error) {
    if (error instanceof NmktError) throw error;
    return fail((error as NodeJS.ErrnoException).code ?? 'something else', error);
  }
}

/** As this program writes it. */
const isOfArena = (text: string): boolean => /^\{\s*"job": "[0-9a-f]{64}",\s*"mode": "arena"/.test(text);

/** Secrets of a job that this home posted, and its key. */
async function ownedJob({ deps }: Context, file: string, author: Pubkey) {
  const secrets = (await deps.home().readJson(file)) as JobSecrets | undefined;
  if (secrets === undefined) return undefined;
  const signer = await deps.signer({ create: false });
  return signer?.pubkey === author ? { secrets, signer } : undefined;
}

/** As `keysOfHome`, of an arena. */
export async function arenaKeysOfHome(context: Context, state: ArenaState): Promise<ArenaAuditKeys | undefined> {
  const owned = await ownedJob(context, arenaFile(state.jobId), state.job.author);
  return owned && collectArenaKeys(owned, state);
}

/** The customer's own home has the data, and can make the keys it would give to an auditor. */
export async function keysOfHome(context: Context, state: JobState): Promise<AuditKeys | undefined> {
  const owned = await ownedJob(context, secretsFile(state.jobId), state.job!.author);
  if (owned === undefined) return undefined;
  const { deps } = context;
  const home = deps.home();
  const { secrets } = owned;
  const journal = await deps.openJournal<SignedRecord>(home.path(eventsFile(state.jobId)));
  const signed = await journal.read();
  const before = deps.clock.nowSec() - PUBLISH_SEC;
  const last = signed.findLast(({ event }) => event.created_at < before)?.event;
  const heads = last === undefined ? [] : [{ author: last.pubkey, event: last.id }];
  const keys = { ...(await collectAuditKeys(owned, state)), heads };
  // Without the data the audit goes as far as with the keys that every auditor gets.
  return isWithoutKey(secrets.train.secrets) ? keys : { ...keys, data: collectDataKeys(secrets) };
}
