import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { Considered } from '../market/auction.js';
import type { JobState } from '../market/state.js';
import { parseEventReference } from '../config/identifiers.js';
import type { SealedBidContent } from '../protocol/sealed-bid.js';
import { auctionNow, unsealBids, type BidFacts } from '../roles/customer-award.js';
import { earlierJobs } from '../roles/earlier-jobs.js';
import type { SignedRecord } from '../roles/job-book.js';
import { requireStored } from '../roles/require-stored.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { customerPorts } from './customer-ports.js';
import { findJob, readBook } from './find-job.js';
import { lead } from './lead.js';
import { notYours, ownSecrets } from './own-job.js';
import { followsOf } from './reader-trust.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--bid <id...>', 'the bids that win, for shard 0, 1, 2 ...; once per shard (jobs with award: manual)')
      .option('--max-sats <n>', 'refuse a job that could cost more')
      .option('--dry-run', 'show the award; sign and publish nothing')
      .addHelpText(
        'before',
        '$ nmkt award JOB\n$ nmkt award JOB --bid ID --bid ID --dry-run\n$ nmkt award JOB --bid ID --bid ID\n',
      )
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = findJob(reference!);
    const chosen = (options['bid'] as string[] | undefined)?.map(bidId);
    const ports = await customerPorts(context);
    const secrets = await ownSecrets(ports, job);
    const { book, relays } = await readBook(context, job);
    book.close();
    const state = book.state();
    if (secrets === undefined) throw notYours(state.job!.author, 'award it');
    if (state.award !== null && chosen !== undefined) context.progress.note('this job was awarded before');
    if (state.award !== null) return describe(state, state.award.content.bids, state.award.id);
    if (chosen !== undefined) requireManual(state);
    const followed = secrets.onlyFollowed === true ? await followsOf(relays, ports.signer.pubkey) : undefined;
    const blocked = new Set(secrets.blocked ?? []);
    const bids = await admissible(context, ports, state, {
      chosen: chosen ?? [],
      blocked,
      ...(followed && { followed }),
    });
    if (chosen === undefined || options['dryRun'] === true) return describe(state, bids, null);
    const { state: led, book: own } = await lead(context, ports, secrets, options, { chosen });
    await requireStored(relays, own.raw(led.award!.id)!);
    context.progress.done(`awarded ${led.award!.content.winners.length} shards`);
    return describe(led, led.award!.content.bids, led.award!.id);
  },
};

const HELP = `
Without --bid it shows the bids as an award would name them now, cheapest first by effective price: the price times what the standing of the
trainer makes of it. A job with award: manual waits for your choice, until its deadline; who wins is then your word, and the audit says so.
Spares follow in the order of effective prices. Afterwards nmkt collect-model leads the job on. A second run shows the award that was made. While collect-model leads
the job it holds the home: stop it first, it goes on afterwards.
With --json one document: {job, award, bids: [{bid, trainer, priceMsat, effectiveMsat, attempts, successes, outcome, rule}]}, award null where
none is made; outcome won, spare or refused, rule where refused.`;

function bidId(text: string): EventId {
  const found = parseEventReference(text);
  if (found.type === 'id') return found.id;
  throw new NmktError('bad-key', 'a bid is an event, not an address', {
    expected: 'an event id',
    got: 'naddr1…',
    remedy: 'use an id that nmkt award JOB shows',
  });
}

function requireManual({ jobId, job }: JobState): void {
  if (job!.content.award === 'manual') return;
  throw new NmktError('bad-usage', 'this job is awarded by its rules, not by hand', {
    expected: 'a job with award: manual',
    got: `award: ${job!.content.award}`,
    remedy: `nmkt collect-model ${jobId} --out model awards it; nmkt post-job --award manual lets you choose`,
  });
}

/** All bids, with the chosen ones as winners. @throws NmktError `bad-usage` for a choice that cannot win */
async function admissible(
  { deps }: Context,
  ports: Awaited<ReturnType<typeof customerPorts>>,
  state: JobState,
  facts: Pick<BidFacts, 'followed' | 'blocked'> & { readonly chosen: readonly EventId[] },
): Promise<readonly Considered[]> {
  const { signer, files, clock } = ports;
  const opened = new Map<EventId, SealedBidContent | null>();
  await unsealBids({ signer }, state, opened);
  const journal = (name: string) => deps.openJournal<SignedRecord>(deps.home().path(name));
  const earlier = await earlierJobs({ files, me: signer.pubkey, journal }, state.jobId);
  const { considered, seats } = auctionNow(state, { ...facts, earlier, opened }, clock.nowSec());
  const { trainers } = state.job!.content;
  const { chosen } = facts;
  const left = [...seats];
  for (const bid of chosen) {
    const at = left.findIndex((seat) => seat.bid === bid);
    if (at >= 0) left.splice(at, 1);
    else
      throw notAWinner(
        bid,
        considered.find((row) => row.bid === bid),
        chosen.length,
        trainers,
        state.jobId,
      );
  }
  return considered;
}

function notAWinner(
  bid: EventId,
  row: Considered | undefined,
  count: number,
  trainers: number,
  job: EventId,
): NmktError {
  const why =
    row === undefined
      ? 'no open bid of this job'
      : row.rule !== undefined
        ? `a bid that is refused: ${row.rule}`
        : count > trainers
          ? `${count} bids`
          : `more shards than it offers (${row.shards ?? 1})`;
  return new NmktError('bad-usage', `bid ${bid.slice(0, 12)}… cannot win like this`, {
    expected: `up to ${trainers} shards, to admissible bids`,
    got: why,
    remedy: `nmkt award ${job} shows the bids`,
  });
}

function describe(
  { jobId: job, job: event }: JobState,
  considered: readonly Considered[],
  award: EventId | null,
): Outcome {
  const bids = considered.map(({ opened: _, ...row }) => row);
  const sats = (msat: bigint) => `${Number(msat) / 1_000}`;
  const text = table([
    ['bid', 'trainer', 'sats', 'effective', 'rounds', 'outcome'],
    ...bids.map((row) => [
      row.bid,
      `${row.trainer.slice(0, 12)}…`,
      sats(row.priceMsat),
      sats(row.effectiveMsat),
      `${row.successes}/${row.attempts}`,
      row.rule ?? row.outcome,
    ]),
  ]);
  const isOpen = award === null && event!.content.award === 'manual';
  return {
    value: { job, award, bids },
    text,
    next: isOpen ? `nmkt award ${job} --bid ID` : `nmkt collect-model ${job} --out model`,
  };
}
