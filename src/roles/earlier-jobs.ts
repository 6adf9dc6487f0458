import { isNmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { buildChains } from '../market/chain.js';
import { standingIn, type EarlierJob } from '../market/standing.js';
import type { Journal } from '../ports.js';
import { parseJobEvents } from '../protocol/events.js';
import { JOB } from '../protocol/job.js';
import type { JobSecrets } from './customer-env.js';
import type { HomeFiles } from './home-files.js';
import type { SignedRecord } from './job-book.js';
import { eventsFile, secretsFile } from './job-files.js';

/** The customer's own signed events of its other jobs, which lie in this home: no relay is asked. */

export interface OwnJobs {
  readonly files: Pick<HomeFiles, 'list' | 'readJson'>;
  readonly me: Pubkey;
  /** Of a job's signed events, by its path in the home. */
  readonly journal: (name: string) => Promise<Journal<SignedRecord>>;
}

/** Newest first, ties by id. @param except  the job that is to be awarded */
export async function earlierJobs({ files, me, journal }: OwnJobs, except?: EventId): Promise<EarlierJob[]> {
  const found: (EarlierJob & { readonly createdAt: number })[] = [];
  for (const name of await files.list('jobs')) {
    if (name === except || !/^[0-9a-f]{64}$/.test(name)) continue;
    const secrets = await files.readJson<JobSecrets>(secretsFile(name as EventId));
    if (secrets === undefined || secrets.event.pubkey !== me) continue;
    const records = await journal(eventsFile(name as EventId));
    const signed = (await records.read()).map(({ event }) => event);
    await records.close();
    try {
      const job = JOB.parse(secrets.event);
      const own = [job, ...parseJobEvents(signed, unread)].filter(({ author }) => author === me);
      const spine = buildChains(own).get(me)!.events;
      const { content: terms, createdAt } = job;
      found.push({ head: spine.at(-1)!.id, terms, standing: standingIn(spine, terms.rail), createdAt });
    } catch (error) {
      // Of another version of nmkt: nothing is known of it.
      if (!isNmktError(error)) throw error;
    }
  }
  return found.sort((a, b) => b.createdAt - a.createdAt || (a.head < b.head ? -1 : 1));
}

function unread(_: unknown, error: unknown): never {
  throw error;
}
