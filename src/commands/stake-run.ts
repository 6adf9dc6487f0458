import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { Stake } from '../ports.js';
import { createBell, type Bell } from '../roles/bell.js';
import { openBook, type JobBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import type { Context } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { readBook } from './find-job.js';

/** A home, its wallet's stake and a job, for as long as the work takes. @throws NmktError `no-wallet` */
export async function withStake<T>(
  context: Context,
  job: EventId,
  work: (book: JobBook, stake: Stake, ports: PublishPorts & { readonly bell: Bell }) => Promise<T>,
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
  (await readBook(context, job)).book.close();
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job)));
  const presence = await presenceOf(ports, 'trainer');
  const { signer } = presence;
  const bell = createBell(ports.clock);
  const book = await openBook(job, { ...ports, signer, journal, bell });
  try {
    return await work(book, stake, { ...ports, signer, bell });
  } finally {
    book.close();
    presence.close();
  }
}
