import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { parameterCount } from '../learning/params.js';
import { takesLateBids } from '../market/late-bids.js';
import { stakeToPut } from '../market/stake-terms.js';
import { hasResigned, type JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { createBell } from '../roles/bell.js';
import { openBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import { requireStored } from '../roles/require-stored.js';
import { ownBid } from '../roles/sealed-bids.js';
import { ownStakes } from '../roles/stake.js';
import { bid, type BidEnv } from '../roles/trainer-actions.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { customerPorts, presenceOf, optionalInteger } from './customer-ports.js';
import { findJob, readBook } from './find-job.js';
import { MAX_PARAMS, readShards } from './trainer-bounds.js';
import { stakeSats } from './trainer-skips.js';

const SAT = 1_000n;

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .requiredOption('--price <sats>', 'what to ask per accepted round and shard; 0 is for free jobs')
      .option('--shards <n>', 'most shards to take of a job that has fewer trainers than shards (default 1)')
      .addHelpText('before', '$ nmkt bid JOB --price 300\n$ nmkt serve-trainer --job JOB --price 300 --once\n')
      .addHelpText(
        'after',
        `
A bid is a promise: run serve-trainer with the same --home afterwards, it keeps this bid and does the work.
A second run finds the bid and prints it; another price, or number of shards, replaces it until the job is awarded.
With --json one document: {job, bid, priceMsat, shards, engine}.`,
      );
  },

  async run([reference], options, context) {
    const priceMsat = BigInt(optionalInteger(options['price'], '--price', 0, 21e14)!) * SAT;
    const offer = { priceMsat, shards: readShards(options) };
    const id = findJob(reference!);
    const ports = await customerPorts(context);
    const { book } = await readBook(context, id);
    book.close();
    const known = await ownBid(book.state(), ports.signer);
    if (known !== undefined && isOffer(known, offer)) {
      ports.progress.done('this bid was made before');
      return describe(id, known);
    }
    requireOpen(book.state(), ports.signer.pubkey, ports.clock.nowSec());
    requireNotResigned(book.state(), ports.signer.pubkey);
    checkPrice(book.state().job!.content, priceMsat);
    checkSize(book.state().job!.content);
    requireWallet(context, book.state().job!.content);
    requireStake(book.state(), ports.signer.pubkey);
    return describe(id, await publishBid(context, ports, id, offer));
  },
};

type Offer = BidEnv['terms'];

function isOffer({ content }: EventOf<'bid'>, { priceMsat, shards }: Offer): boolean {
  return content.priceMsat === priceMsat && content.capacity === shards;
}

/** Durable in the journal of this home before it is published; one that no relay took yet is published again. */
async function publishBid(context: Context, ports: PublishPorts, id: EventId, offer: Offer): Promise<EventOf<'bid'>> {
  const { relays, clock, progress } = ports;
  const presence = await presenceOf(ports, 'trainer');
  const { signer } = presence;
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(id)));
  const book = await openBook(id, { ...ports, signer, journal, bell: createBell(clock) });
  try {
    const earlier = await ownBid(book.state(), signer);
    if (earlier === undefined || !isOffer(earlier, offer)) {
      if (earlier !== undefined) progress.note(`this replaces the bid of ${earlier.content.priceMsat / SAT} sat`);
      progress.start('trying the engine');
      const accepted = book.state().job!.content.acceptedEngines;
      await bid({ book, terms: offer, signer, random: ports.random, engine: () => context.deps.engine({ accepted }) });
    }
    const made = (await ownBid(book.state(), signer))!;
    await requireStored(relays, book.raw(made.id)!);
    progress.done(`bid ${offer.priceMsat / SAT} sat per accepted round`);
    return made;
  } finally {
    book.close();
    presence.close();
  }
}

/** @throws NmktError `job-closed`, or `bad-usage` for the own job */
function requireOpen(state: JobState, me: Pubkey, nowSec: number): void {
  const { job, phase } = state;
  if (job?.author === me)
    throw new NmktError('bad-usage', 'this is your own job', {
      expected: 'a job of another key',
      got: 'the key of its customer',
      remedy: 'bid with another --home',
    });
  const isLate = phase === 'awarding' && job !== null && nowSec >= job.content.deadline;
  if ((phase === 'awarding' && !isLate) || takesLateBids(state, nowSec)) return;
  throw new NmktError('job-closed', 'the job takes no bids any more', {
    expected: 'a job before its award, or with rounds left',
    got: isLate ? 'a job that lapsed at its deadline' : `a job that is ${phase}`,
    remedy: 'serve other jobs: nmkt serve-trainer --price SATS',
  });
}

/** @throws NmktError `job-closed` */
function requireNotResigned(state: JobState, me: Pubkey): void {
  if (!hasResigned(state, me)) return;
  throw new NmktError('job-closed', 'this key resigned from the job', {
    expected: 'a job that this key has not left',
    got: 'its resignation, which is for good',
    remedy: 'serve other jobs: nmkt serve-trainer --price SATS',
  });
}

function checkPrice({ rail, maxPriceMsat, payoutFloorMsat }: JobTerms, priceMsat: bigint): void {
  const floorMsat = rail === 'none' ? 0n : payoutFloorMsat;
  if (priceMsat >= floorMsat && priceMsat <= maxPriceMsat) return;
  const isAbove = priceMsat > maxPriceMsat;
  const limit = (isAbove ? maxPriceMsat / SAT : (floorMsat + SAT - 1n) / SAT).toString();
  throw new NmktError(
    'bad-usage',
    `the price is ${isAbove ? 'above the ceiling' : 'below the payout floor'} of the job`,
    {
      expected: `${isAbove ? 'at most' : 'at least'} ${limit} sat per accepted round`,
      got: `${priceMsat / SAT} sat`,
      remedy: `--price ${limit}`,
    },
  );
}

/** Weights for a trial are made on this thread. */
function checkSize({ model }: JobTerms): void {
  const size = parameterCount(model);
  if (size <= MAX_PARAMS) return;
  throw new NmktError('too-large', 'the model of the job has more parameters than a bid tries out', {
    expected: `at most ${MAX_PARAMS} parameters`,
    got: `${size}`,
    remedy: `nmkt serve-trainer --max-params ${size} bids if this machine can bear it`,
  });
}

function requireWallet({ deps }: Context, { rail }: JobTerms): void {
  if (rail === 'none' || deps.settings().wallet !== undefined) return;
  throw new NmktError('no-wallet', 'this job pays its trainers and no wallet is set', {
    expected: 'a NIP-47 wallet that makes invoices',
    got: 'none',
    remedy: 'set NMKT_WALLET, --wallet-file or --settings',
  });
}

/** @throws NmktError `bad-usage` */
function requireStake(state: JobState, me: Pubkey): void {
  const terms = state.job!.content;
  if (stakeToPut(terms, 'trainer') === 0n) return;
  const isStaked = ownStakes(state, me).some(({ event, isLeaving }) => event.type === 'stake' && !isLeaving);
  if (isStaked) return;
  const sats = stakeSats(terms, 'trainer');
  throw new NmktError('bad-usage', 'the job asks its trainers for a stake', {
    expected: `a stake of at least ${sats} sat in this job`,
    got: 'none of this key',
    remedy: `nmkt stake ${state.jobId} --sats ${sats}`,
  });
}

function describe(job: EventId, { id, content }: EventOf<'bid'>): Outcome {
  const { priceMsat, capacity: shards, engine } = content;
  return {
    value: { job, bid: id, priceMsat, shards, engine },
    text: table([
      ['job', job],
      ['bid', id],
      ['price', `${priceMsat / SAT} sat per accepted round and shard`],
      ...(shards > 1 ? [['shards', `up to ${shards}`] as const] : []),
      ['engine', engine],
    ]),
    next: `nmkt serve-trainer --job ${job} --price ${priceMsat / SAT}${shards > 1 ? ` --shards ${shards}` : ''} --once`,
  };
}
