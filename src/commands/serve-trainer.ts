import { NmktError } from '../errors.js';
import { parseEventReference } from '../config/identifiers.js';
import type { EventId } from '../hash.js';
import { unwrapRumor } from '../relay/gift-wrap.js';
import { openInbox } from '../roles/inbox.js';
import { parseDuration } from '../roles/job-file.js';
import { keyInUse } from '../roles/presence.js';
import type { CommandModule } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { inboxRelays } from './trainer-inbox.js';
import { addThreadsFlag, engineWords, readThreads } from './threads.js';
import { readBounds } from './trainer-bounds.js';
import { offerWork } from './trainer-offer.js';
import { readParallel, trainerEngines } from './trainer-engines.js';
import { serveAll, type Server } from './trainer-jobs.js';

export const command: CommandModule = {
  configure(program) {
    program
      .requiredOption('--price <sats>', 'what to ask per accepted round and shard; 0 is for free jobs')
      .option('--price-per-gflop <sats>', 'ask this per 10^9 operations of a round, if that is more than --price')
      .option('--price-per-job <percent>', 'ask so much more for each job it holds a seat of (default 0)')
      .option('--shards <n>', 'most shards to take of a job that has fewer trainers than shards (default 1)')
      .option('--job <id>', 'work on this job only')
      .option('--once', 'stop after one job (its last payment)')
      .option('--timeout <duration>', 'with --once: give up after this long (exit 3)')
      .option('--max-params <n>', 'largest model, in parameters (default 20000000)')
      .option('--max-bytes <n>', 'most memory of all trainings at a time: data, model, batch (default 1073741824)')
      .option('--max-minutes <n>', 'longest training of one round; 0.5 is 30 seconds (default 60)')
      .option(
        '--parallel <n>',
        'trainings at a time (default: as processors and memory allow); other jobs wait their turn',
      )
      .option(
        '--max-exposure <sats>',
        'most unpaid work at any time (default: the price of one round, of all --shards)',
      )
      .option(
        '--max-stake <sats>',
        'most stake to lock for a job that asks for one; a proven fraud loses it (default 0)',
      )
      .option('--no-offer', 'publish no offer that customers find (with --once and --job none is published anyway)')
      .option('--allow <npub...>', 'work for these customers only')
      .option('--deny <npub...>', 'never work for these customers');
    addThreadsFlag(program);
    program
      .addHelpText(
        'before',
        '$ nmkt serve-trainer --price 300\n$ nmkt serve-trainer --settings sb/trainer-1.json --home t1 --price 300 --once --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress, signal } = context;
    const bounds = readBounds(options, deps.network);
    const threads = readThreads(options);
    const parallel = readParallel(options, bounds, threads);
    const only = typeof options['job'] === 'string' ? parseEventReference(options['job']) : undefined;
    if (only?.type === 'address')
      throw new NmktError('bad-key', 'a job is an event, not an address', {
        expected: 'an event id',
        got: 'naddr',
        remedy: '--job ID',
      });
    const own = await customerPorts(context);
    const presence = await presenceOf(own, 'trainer');
    const ports = { ...own, signer: presence.signer };
    const timeout =
      typeof options['timeout'] === 'string'
        ? AbortSignal.timeout(parseDuration(options['timeout'], '--timeout') * 1000)
        : undefined;
    const stop = AbortSignal.any([signal, presence.rival, ...(timeout === undefined ? [] : [timeout])]);
    const { signer, clock } = ports;
    const wallet = await deps.wallet();
    // Work that cannot be paid for is not bid for.
    await wallet?.info();
    const relays = await inboxRelays(context, ports);
    const engines = trainerEngines(context, bounds, { parallel, threads });
    const seats = new Set<EventId>();
    const server: Server = {
      ...{ seats, held: () => seats.size },
      role: 'trainer',
      context,
      ports,
      bounds,
      wallet,
      inbox: openInbox(relays, signer.pubkey, clock, (wrap) => unwrapRumor(wrap, signer)),
      engines,
      engineId: (accepted) => engines.idFor(accepted),
      stop,
      emit: (job, event, fields, text) =>
        context.emit(
          { event, at: clock.nowSec(), ...(job === null ? {} : { job }), ...fields },
          job === null ? text : `${job.slice(0, 12)}…  ${text}`,
        ),
    };
    const id = await server.engineId();
    server.emit(
      null,
      'ready',
      { pubkey: signer.pubkey, engine: id, threads, parallel, relays: own.relays.urls },
      `ready on ${own.relays.urls.join(', ')} with ${engineWords(id, threads)}, ${parallel} at a time`,
    );
    progress.start('waiting for jobs');
    const isOffered = options['offer'] !== false && options['once'] !== true && only === undefined;
    const closing = new AbortController();
    const offering = isOffered
      ? offerWork(context, { ...ports, bounds, wallet }, id, AbortSignal.any([stop, closing.signal]))
      : Promise.resolve();
    try {
      const end = await serveAll(server, only?.id, options['once'] === true);
      if (end !== null) return {};
    } finally {
      closing.abort();
      await offering;
      server.inbox.close();
      presence.close();
    }
    if (presence.rival.aborted) throw keyInUse('trainer');
    if (timeout?.aborted === true)
      throw new NmktError('timeout', 'no job was finished in time', {
        expected: `a finished job within ${String(options['timeout'])}`,
        got: 'none',
        remedy: 'run the same command again; a job that was begun goes on',
      });
    if (options['once'] === true)
      throw new NmktError('interrupted', 'stopped; jobs wait where they are', {
        remedy: 'run the same command again to go on',
      });
    return {};
  },
};

const HELP = `
A running job is bid for where a seat is free, with --job also where one may become free.
Several shards of a job are trained one after the other in the time of the round, and paid each.
Each job has a training worker of its own, and fails alone with its reason when it passes its memory or its minutes.
Goes on with what this home began, whatever the bounds say now. A job that is not for it gives a skipped event with the reason.
Exit status with --once: 0 after a job's last payment, 3 after --timeout; 5 when the job of --job went to others or is over.
With --json one object per line, each with event, at (Unix seconds) and, where there is one, job:
  ready      {pubkey, engine, threads, parallel, relays}
  skipped    {reason, expected, got}, reason being own-job, closed, awarded, customer, no-wallet, network, price,
             payout-floor, proof-of-work, stake, max-params, max-bytes, model, engine or dataset-missing
  priced     {policy, examples, gflop, gflopMsat, leastMsat, jobs, percentPerJob, priceMsat, throughput, seconds}: how the price
             of a bid comes about where --price is not all; policy gflop, queue or gflop-queue, examples of a round, throughput in examples per second as measured, seconds of a round by it
  bid        {bid, priceMsat, shards}, or of a sealed one {bid, sealed}; awarded, once per shard: {shard, priceMsat, rounds}; lost: {reason}
  round, committed, revealed, accepted, rejected, paid, unpaid  {round}, from 0; committed, revealed, accepted and rejected
             also {shard}, rejected {rule, detail}, paid and unpaid {amountMsat}
  claim-refused  {round, rule, detail}: the customer does not pay the invoice of this wallet
  done       {rounds, paidMsat}; error: {message, code, expected, got} or {reason}`;
