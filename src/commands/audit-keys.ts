import { readFile, stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { JobState } from '../market/state.js';
import { parseAuditKeys, type AuditKeys } from '../roles/audit.js';
import { collectAuditKeys, collectDataKeys } from '../roles/collect.js';
import type { JobSecrets } from '../roles/customer-env.js';
import { isWithoutKey } from '../roles/epoch.js';
import type { SignedRecord } from '../roles/job-book.js';
import { eventsFile, secretsFile } from '../roles/job-files.js';
import type { Context } from './command.js';

/** Where an auditor's keys come from: a file of the customer, or its own home. */

/** A job of 1,024 trainers and 1,000 rounds stays below. */
const MAX_KEYS_BYTES = 2 ** 29;
/** So long a running customer may take from signing to publishing. */
const PUBLISH_SEC = 60;

/** @throws NmktError `bad-usage` when the file is not there or holds something else */
export async function readKeys(file: string, job: EventId): Promise<AuditKeys> {
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
    const keys = parseAuditKeys(await readFile(file, 'utf8'));
    return keys.job === job ? keys : fail(`the keys of job ${keys.job}`);
  } catch (error) {
    if (error instanceof NmktError) throw error;
    return fail((error as NodeJS.ErrnoException).code ?? 'something else', error);
  }
}

/** The customer's own home has the data, and can make the keys it would give to an auditor. */
export async function keysOfHome({ deps }: Context, state: JobState): Promise<AuditKeys | undefined> {
  const home = deps.home();
  const secrets = (await home.readJson(secretsFile(state.jobId))) as JobSecrets | undefined;
  if (secrets === undefined) return undefined;
  const signer = await deps.signer({ create: false });
  if (signer?.pubkey !== state.job!.author) return undefined;
  const journal = await deps.openJournal<SignedRecord>(home.path(eventsFile(state.jobId)));
  const signed = await journal.read();
  const before = deps.clock.nowSec() - PUBLISH_SEC;
  const last = signed.findLast(({ event }) => event.created_at < before)?.event;
  const heads = last === undefined ? [] : [{ author: last.pubkey, event: last.id }];
  const keys = { ...(await collectAuditKeys({ secrets, signer }, state)), heads };
  // Without the data the audit goes as far as with the keys that every auditor gets.
  return isWithoutKey(secrets.train.secrets) ? keys : { ...keys, data: collectDataKeys(secrets) };
}
