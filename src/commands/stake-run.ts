import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { foldArena } from '../market/arena/fold.js';
import { parseJobEvent } from '../protocol/events.js';
import type { Stake } from '../ports.js';
import { createBell, type Bell } from '../roles/bell.js';
import { openBook, openBookOf, type JobBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import type { StakedJob } from '../roles/stake.js';
import type { Context } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { ALLIANCE_READING } from './find-alliance.js';
import { modeOfJob, readBook } from './find-job.js';
import type { Mode } from './job-mode.js';

/** A home, its wallet's stake and a job, for as long as the work takes. @throws NmktError `no-wallet` */
export async function withStake<T>(
  context: Context,
  job: EventId,
  work: (
    book: JobBook<StakedJob>,
    stake: Stake,
    ports: PublishPorts & { readonly bell: Bell; readonly mode: Mode },
  ) => Promise<T>,
): Promise<T> {
  const stake = await context.deps.stake();
  if (stake === null)
    throw new NmktError('no-wallet', 'a stake is locked by a wallet, and none is set', {
      expected: 'a wallet of nmkt sandbox',
      got: 'none',
      remedy: '--settings sb/trainer-1.json, or NMKT_WALLET',
    });
  const ports = await customerPorts(context);
  // Said first, before the home gets a folder for a job that is none.
  const mode = (await modeOfJob(ports.relays, job)) ?? 'federated';
  if (mode === 'federated') (await readBook(context, job)).book.close();
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job)));
  const presence = await presenceOf(ports, 'trainer');
  const { signer } = presence;
  const bell = createBell(ports.clock);
  const opened = { ...ports, signer, journal, bell };
  const book: JobBook<StakedJob> =
    mode === 'federated'
      ? await openBook(job, opened)
      : mode === 'arena'
        ? await openBookOf(job, { ...opened, reading: { parse: parseJobEvent, fold: foldArena } })
        : await openBookOf(job, { ...opened, reading: ALLIANCE_READING });
  try {
    return await work(book, stake, { ...ports, signer, bell, mode });
  } finally {
    book.close();
    presence.close();
  }
}
