import type { EventId } from '../hash.js';
import { foldArena, type FoldedArena } from '../market/arena/fold.js';
import { ARENA_JOB } from '../protocol/arena/job.js';
import { parseJobEvent } from '../protocol/events.js';
import { leadArena } from '../roles/arena/customer.js';
import type { JobSecrets } from '../roles/customer-env.js';
import { earlierJobs } from '../roles/earlier-jobs.js';
import type { HomeFiles } from '../roles/home-files.js';
import type { Reading } from '../roles/job-book.js';
import { arenaFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import type { Context } from './command.js';
import type { Leading } from './lead.js';
import { leadPot } from './lead-pot.js';
import { followsOf } from './reader-trust.js';
import type { Holds } from './unpaid.js';

export const ARENA_READING: Reading<FoldedArena> = { parse: parseJobEvent, fold: foldArena };

/** The secrets of an arena that this home posted. */
export function arenaSecrets(files: HomeFiles, jobId: EventId): Promise<JobSecrets | undefined> {
  return files.readJson<JobSecrets>(arenaFile(jobId));
}

/** Leads an arena to its end, or to its cancellation. @throws NmktError as `leadArena`, and of the wallet */
export async function leadOwnArena(
  context: Context,
  ports: PublishPorts,
  secrets: JobSecrets,
  options: Readonly<Record<string, unknown>>,
  how: Pick<Leading, 'signal' | 'cancel'> = {},
): Promise<{ readonly folded: FoldedArena; readonly holds: Holds }> {
  const { deps } = context;
  const { relays, files, signer } = ports;
  const { id } = secrets.event;
  const { arena, rail } = ARENA_JOB.parse(secrets.event).content;
  const journal = (name: string) => deps.openJournal<never>(deps.home().path(name));
  const earlier = await earlierJobs({ files, me: signer.pubkey, journal }, id);
  const followed = secrets.onlyFollowed === true ? await followsOf(relays, signer.pubkey) : undefined;
  const { state: folded, holds } = await leadPot<FoldedArena>(
    context,
    ports,
    {
      ...{ id, potMsat: rail === 'none' ? 0n : arena.potMsat, reading: ARENA_READING },
      isOver: ({ phase }) => phase === 'finished' || phase === 'cancelled',
      lead: (env, wrap) =>
        leadArena(
          {
            ...{ ...env, secrets, earlier },
            ...(followed && { followed }),
            ...(secrets.blocked && { blocked: new Set(secrets.blocked) }),
          },
          wrap,
        ),
    },
    options,
    how,
  );
  return { folded, holds };
}
