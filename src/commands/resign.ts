import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { acceptedRounds, currentRound, owedMsat, paidMsat, type JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { createBell } from '../roles/bell.js';
import { openBook, type JobBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import { requireStored } from '../roles/require-stored.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Outcome } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { findJob, readBook } from './find-job.js';
import { readReason } from './reason.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--reason <text>', 'why, in public (default: nothing)')
      .addHelpText('before', "$ nmkt resign JOB\n$ nmkt resign JOB --reason 'moving house' --json\n")
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const reason = readReason(options['reason']);
    const job = findJob(reference!);
    const ports = await customerPorts(context);
    // Said first, before the home gets a folder for a job that is none.
    (await readBook(context, job)).book.close();
    const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job)));
    const presence = await presenceOf(ports, 'trainer');
    const { signer } = presence;
    const book = await openBook(job, { ...ports, signer, journal, bell: createBell(ports.clock) });
    try {
      return describe(book.state(), ports.signer.pubkey, await resign(book, ports, job, reason));
    } finally {
      book.close();
      presence.close();
    }
  },
};

const HELP = `
Accepted rounds stay owed: run serve-trainer with the same --home afterwards, it claims them and does no more work for the job. An open round does
not wait for this trainer; a spare takes the seat before the next one. After its own commitment to a round a trainer has to bring that round to
its end first. Before the award it takes the bid back. It cannot be undone. A running serve-trainer holds the home: stop it first.
With --json one document:
  job, resign         ids of the job and of the resignation; reason: as published
  rounds              accepted rounds of this trainer
  paidMsat, owedMsat  paid to it in this job, and settled but not paid yet`;

/** Durable in the journal before it is published; one that no relay took yet is published again. */
async function resign(
  book: JobBook,
  { signer, relays, clock, progress }: PublishPorts,
  job: EventId,
  reason: string,
): Promise<EventOf<'resign'>> {
  const me = signer.pubkey;
  const earlier = resignationOf(book.state(), me);
  if (earlier === undefined) {
    requireSeat(book.state(), me, clock.nowSec());
    await book.sign('resign', { reason }, [book.state().job!.author]);
  }
  const made = resignationOf(book.state(), me)!;
  await requireStored(relays, book.raw(made.id)!);
  progress.done(earlier === undefined ? `resigned from ${job.slice(0, 12)}…` : 'this trainer resigned before');
  return made;
}

function resignationOf({ chains }: JobState, me: Pubkey): EventOf<'resign'> | undefined {
  return chains.get(me)?.events.find((event): event is EventOf<'resign'> => event.type === 'resign');
}

/** @throws NmktError `job-closed`, `not-awarded` without bid or seat, `not-ready` in a round it committed to */
function requireSeat(state: JobState, me: Pubkey, nowSec: number): void {
  const { phase } = state;
  const isLapsed = phase === 'awarding' && nowSec >= state.job!.content.deadline;
  if (isLapsed || phase === 'finished' || phase === 'cancelled' || phase === 'frozen')
    throw new NmktError('job-closed', 'there is nothing left to resign from', {
      expected: 'a job that goes on',
      got: isLapsed ? 'a job that lapsed at its deadline' : `a job that is ${phase}`,
      remedy: `nmkt status ${state.jobId}`,
    });
  const isIn =
    phase === 'awarding'
      ? [...state.bids, ...state.sealedBids].some((bid) => bid.author === me)
      : [...state.assignments.values(), ...state.spares].some(({ trainer }) => trainer === me);
  if (!isIn)
    throw new NmktError('not-awarded', 'this key has no part in the job', {
      expected: phase === 'awarding' ? 'a bid of this key' : 'a seat of this key, or a place among the spares',
      got: 'none',
      remedy: 'run it with --home and --settings of the trainer',
    });
  const round = currentRound(state);
  if (round === undefined || round.close !== null || round.voided !== null) return;
  const commit = [...round.commits.values()].find(({ author }) => author === me);
  if (commit === undefined) return;
  throw new NmktError(
    'not-ready',
    `this trainer committed to round ${round.round + 1}: it has to bring it to its end`,
    {
      expected: 'no commitment to the open round',
      got: `commitment ${commit.id.slice(0, 12)}…`,
      remedy: `after the round: nmkt resign ${state.jobId}`,
    },
  );
}

function describe(state: JobState, me: Pubkey, event: EventOf<'resign'>): Outcome {
  const { reason } = event.content;
  const [rounds, paid, owed] = [acceptedRounds(state, me), paidMsat(state, me), owedMsat(state, me)];
  return {
    value: { job: state.jobId, resign: event.id, reason, rounds, paidMsat: paid, owedMsat: owed },
    text: table([
      ['resigned', event.id],
      ...(reason === '' ? [] : [['reason', reason]]),
      ['rounds', `${rounds} accepted`],
      ['paid', `${Number(paid) / 1000} sat`],
      ['owed', `${Number(owed) / 1000} sat`],
    ]),
    next:
      rounds > 0
        ? `nmkt serve-trainer --job ${state.jobId} --price 0 --once, which claims what is owed`
        : 'nmkt earnings',
  };
}
