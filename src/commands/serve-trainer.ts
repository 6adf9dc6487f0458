import { ERRORS, isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { parseEventReference } from '../config/identifiers.js';
import type { Rung } from '../learning/types.js';
import { rungOf } from '../market/auction.js';
import type { JobState } from '../market/state.js';
import { JOB } from '../protocol/job.js';
import { KINDS, PROTOCOL_TAG } from '../protocol/kinds.js';
import { parseSnapshot, type Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Engine, Filter, NostrEvent, Relays, Wallet } from '../ports.js';
import { unwrapRumor } from '../relay/gift-wrap.js';
import { createBell } from '../roles/bell.js';
import { openInbox, type Inbox } from '../roles/inbox.js';
import { parseDuration } from '../roles/job-file.js';
import { openBook, type SignedRecord } from '../roles/job-book.js';
import { keyInUse } from '../roles/presence.js';
import { eventsFile } from '../roles/post.js';
import { serveJob, type ServeEnd, type TrainerEnv } from '../roles/trainer.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import type { CommandModule, Context } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { jobFiles } from './lead.js';
import { readBounds, SAT, skipReason, type Bounds } from './trainer-bounds.js';
import { describeSkip, skippedJob, type SkipReason } from './trainer-skips.js';

export const command: CommandModule = {
  configure(program) {
    program
      .requiredOption('--price <sats>', 'what to ask per accepted round and shard; 0 is for free jobs')
      .option('--job <id>', 'work on this job only')
      .option('--once', 'stop after one job (its last payment)')
      .option('--timeout <duration>', 'with --once: give up after this long (exit 3)')
      .option('--max-params <n>', 'largest model, in parameters (default 20000000)')
      .option('--max-bytes <n>', 'largest shard, in bytes (default 1073741824)')
      .option('--max-minutes <n>', 'longest training of one round (default 60)')
      .option('--max-exposure <sats>', 'most unpaid work at any time (default: the price of one round)')
      .option('--allow <npub...>', 'work for these customers only')
      .option('--deny <npub...>', 'never work for these customers')
      .addHelpText(
        'before',
        '$ nmkt serve-trainer --price 300\n$ nmkt serve-trainer --settings sb/trainer-1.json --home t1 --price 300 --once --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress, signal } = context;
    const bounds = readBounds(options, deps.network);
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
    const { relays, signer, clock } = ports;
    const wallet = await deps.wallet();
    // Work that cannot be paid for is not bid for.
    await wallet?.info();
    const engines = enginesOf(context, bounds);
    const server: Server = {
      context,
      ports,
      bounds,
      wallet,
      inbox: openInbox(relays, signer.pubkey, clock, (wrap) => unwrapRumor(wrap, signer)),
      engine: engines,
      stop,
      emit: (job, event, fields, text) =>
        context.emit(
          { event, at: clock.nowSec(), ...(job === null ? {} : { job }), ...fields },
          job === null ? text : `${job.slice(0, 12)}…  ${text}`,
        ),
    };
    const { id } = await server.engine();
    server.emit(
      null,
      'ready',
      { pubkey: signer.pubkey, engine: id, relays: relays.urls },
      `ready on ${relays.urls.join(', ')} with ${id}`,
    );
    progress.start('waiting for jobs');
    try {
      const end = await serveAll(server, only?.id, options['once'] === true);
      if (end !== null) return {};
    } finally {
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
Goes on with what this home began, whatever the bounds say now. A job that is not for it gives a skipped event with the reason.
Exit status with --once: 0 after a job's last payment, 3 after --timeout; 5 when the job of --job went to others or is over.
With --json one object per line, each with event, at (Unix seconds) and, where there is one, job:
  ready      {pubkey, engine, relays}
  skipped    {reason, expected, got}, reason being own-job, closed, awarded, customer, no-wallet, network, price,
             payout-floor, max-params, max-bytes, model, engine or dataset-missing
  bid        {bid, priceMsat}; awarded: {shard, priceMsat, rounds}; lost: {reason}
  round, committed, revealed, accepted, rejected, paid, unpaid  {round}, from 0; rejected also {rule, detail}, paid and
             unpaid {amountMsat}
  claim-refused  {round, rule, detail}: the customer does not pay the invoice of this wallet
  done       {rounds, paidMsat}; error: {message, code} or {reason}`;

interface Server {
  readonly context: Context;
  readonly ports: Awaited<ReturnType<typeof customerPorts>>;
  readonly bounds: Bounds;
  readonly wallet: Wallet | null;
  readonly inbox: Inbox;
  /** The best engine that loads, or the best among those a job accepts. */
  engine(accepted?: readonly Rung[]): Promise<Engine>;
  readonly stop: AbortSignal;
  emit(job: EventId | null, event: string, fields: Record<string, unknown>, text: string): void;
}

/** One worker per rung in use: the default one serves every job that accepts it. */
function enginesOf({ deps }: Context, bounds: Bounds): Server['engine'] {
  const limits = { maxBytes: bounds.maxBytes, maxMinutes: bounds.maxMinutes };
  const best = deps.engine({ limits });
  best.catch(() => undefined);
  const others = new Map<string, Promise<Engine>>();
  return async (accepted) => {
    const engine = await best;
    if (accepted === undefined || accepted.includes(rungOf(engine.id))) return engine;
    const key = accepted.join();
    const other = others.get(key) ?? deps.engine({ accepted, limits });
    others.set(key, other);
    return other;
  };
}

/** Old jobs end by their deadlines; what this home began is found in its own folder. */
const LOOK_BACK_SEC = 7 * 86_400;
const RETRY_MS = 30_000;

/**
 * Every job that appears, several at a time. With `once` the first job done ends it; one that was over before this run began only
 * when nothing else is open, so that a second run gives the same result and a new job is not missed.
 * @returns the end that satisfied `once`, or null when stopped
 */
async function serveAll(server: Server, only: EventId | undefined, once: boolean): Promise<ServeEnd | null> {
  const { relays, clock } = server.ports;
  const recent = { kinds: [KINDS.job], '#t': [PROTOCOL_TAG], since: clock.nowSec() - LOOK_BACK_SEC };
  const filters: Filter[] = only === undefined ? [recent, ...(await begunJobs(server))] : [{ ids: [only] }];
  const begun = new Set<string>();
  let working = 0;
  let finishedBefore: ServeEnd | null = null;
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const finish = (end: ServeEnd | null): void => {
      stop.abort();
      resolve(end);
    };
    const fail = (error: unknown): void => {
      stop.abort();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const begin = (event: NostrEvent): void => {
      if (begun.has(event.id) || server.stop.aborted || stop.signal.aborted) return;
      begun.add(event.id);
      working++;
      serveOne(server, event, only !== undefined)
        .then((end) => {
          working--;
          if (!once) return;
          if (end?.end === 'done' && !end.wasOver) finish(end);
          else if (end?.end === 'done') finishedBefore = end;
          else if (end !== null && only !== undefined) fail(notDone(event.id, end));
          settleOnce();
        })
        .catch((error: unknown) => {
          working--;
          if (server.stop.aborted) return;
          if (once || only !== undefined) return fail(error);
          // Months of service outlast a relay's restart: what may be tried again is.
          if (isNmktError(error) && ERRORS[error.code].retry) void again(event);
          const message = error instanceof Error ? error.message : String(error);
          server.emit(
            event.id,
            'error',
            { message, ...(isNmktError(error) ? { code: error.code } : {}) },
            `error: ${message}`,
          );
        });
    };
    const again = async (event: NostrEvent): Promise<void> => {
      await clock.wait(RETRY_MS, AbortSignal.any([server.stop, stop.signal]));
      begun.delete(event.id);
      begin(event);
    };
    const settleOnce = (): void => {
      if (isStocked && working === 0 && finishedBefore !== null) finish(finishedBefore);
    };
    let isStocked = false;
    const stock = async (): Promise<void> => {
      const { events, answered } = await relays.fetch(filters);
      if (answered.length === 0)
        server.context.progress.warn(`no relay answers: ${relays.urls.join(', ')}; jobs are served once one does`);
      if (only !== undefined && events.length === 0 && answered.length > 0) return fail(unknownJob(only, answered));
      events.forEach(begin);
      isStocked = true;
      settleOnce();
      if (stop.signal.aborted) return;
      const subscription = relays.subscribe(filters, begin);
      stop.signal.addEventListener('abort', () => subscription.close(), { once: true });
    };
    if (server.stop.aborted) return finish(null);
    server.stop.addEventListener('abort', () => finish(null), { once: true });
    stock().catch(fail);
  });
}

/** Jobs that this home signed something for. */
async function begunJobs({ ports }: Server): Promise<Filter[]> {
  const ids = (await ports.files.list('jobs')).filter((name) => /^[0-9a-f]{64}$/.test(name));
  return ids.length === 0 ? [] : [{ ids }];
}

function notDone(job: string, { end, why }: Exclude<ServeEnd, { end: 'done' }>): NmktError {
  const code = end === 'cancelled' ? 'job-closed' : 'not-awarded';
  return new NmktError(code, `job ${job.slice(0, 12)}… is over for this trainer: ${why}`, {
    expected: end === 'cancelled' ? 'a job that goes on' : 'a seat',
    got: why,
    remedy: 'serve other jobs: leave out --job',
  });
}

function unknownJob(job: string, answered: readonly string[]): NmktError {
  return new NmktError('job-unknown', `no relay has job ${job.slice(0, 12)}…`, {
    expected: 'a job',
    got: `nothing from ${answered.join(', ')}`,
    remedy: 'check the id, or name its relay with --relay',
  });
}

async function serveOne(server: Server, event: NostrEvent, isNamed: boolean): Promise<ServeEnd | null> {
  const { ports, bounds, context } = server;
  const { relays, signer, clock, random } = ports;
  let job: EventOf<'job'>;
  try {
    job = JOB.parse(event);
  } catch {
    return null;
  }
  const bell = createBell(clock);
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job.id)));
  const isBegun = (await journal.read()).length > 0;
  const snapshot = await fetchSnapshot(relays, job);
  const reason = snapshot === null ? 'dataset-missing' : await skipReason(server, job, snapshot, isBegun);
  if (reason !== null) {
    await journal.close();
    skip(server, job, reason);
    if (isNamed) throw skippedJob(job, reason, bounds);
    return null;
  }
  // Its story was told when it happened; only what is still to come is told.
  const isPast = job.content.deadline <= clock.nowSec();
  const book = await openBook(job.id, { ...ports, bell, journal });
  if (!isNamed && !isPast && isOthers(book.state(), signer.pubkey)) {
    book.close();
    await journal.close();
    skip(server, job, 'awarded');
    return null;
  }
  const unwatch = server.inbox.watch(bell);
  const priceMsat = job.content.rail === 'none' ? 0n : bounds.priceMsat;
  const env: TrainerEnv = {
    book,
    relays,
    signer,
    inbox: server.inbox,
    clock,
    random,
    bell,
    files: jobFiles(ports.files, job.id),
    terms: { priceMsat, maxExposureMsat: bounds.maxExposureMsat ?? priceMsat, maxBytes: bounds.maxBytes },
    snapshot: snapshot!,
    wallet: server.wallet,
    network: context.deps.network,
    paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
    engine: () => server.engine(job.content.acceptedEngines),
    shard: { examples: null },
    progress: context.progress,
    signal: server.stop,
    emit: (name, fields, text) => (isPast && !isNamed ? undefined : server.emit(job.id, name, fields, text)),
  };
  try {
    const end = await serveJob(env);
    if (end.wasOver && isPast && !isNamed) return null;
    if (end.end === 'done')
      server.emit(
        job.id,
        'done',
        { rounds: end.rounds, paidMsat: end.paidMsat },
        `done: ${end.rounds} rounds, ${end.paidMsat / SAT} sat`,
      );
    else server.emit(job.id, end.end === 'stopped' ? 'error' : 'lost', { reason: end.why }, `${end.end}: ${end.why}`);
    return end;
  } finally {
    unwatch();
    book.close();
    await journal.close();
  }
}

function skip(server: Server, job: EventOf<'job'>, reason: SkipReason): void {
  const { expected, got } = describeSkip(reason, job, server.bounds);
  server.emit(job.id, 'skipped', { reason, expected, got }, `skipped: expected ${expected}, got ${got}`);
}

/** Awarded before this trainer had a part in it. */
function isOthers({ phase, chains }: JobState, me: Pubkey): boolean {
  return phase !== 'awarding' && (chains.get(me)?.events.length ?? 0) === 0;
}

async function fetchSnapshot(relays: Relays, job: EventOf<'job'>): Promise<Snapshot | null> {
  const { events } = await relays.fetch([{ ids: [job.content.dataset] }]);
  const event = events.find((candidate) => candidate.id === job.content.dataset && candidate.pubkey === job.author);
  try {
    return event === undefined ? null : parseSnapshot(event);
  } catch {
    return null;
  }
}
