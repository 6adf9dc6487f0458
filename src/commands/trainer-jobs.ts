import { ERRORS, isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { mayBeTakenOver, takesLateBids, vacantShards } from '../market/late-bids.js';
import type { JobState } from '../market/state.js';
import { JOB } from '../protocol/job.js';
import { KINDS, PROTOCOL_TAG } from '../protocol/kinds.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Engine, Filter, NostrEvent, Wallet } from '../ports.js';
import { createBell } from '../roles/bell.js';
import { chunkFiles } from '../roles/home-files.js';
import type { Inbox } from '../roles/inbox.js';
import { openBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { policyName } from '../roles/price-policy.js';
import { serveJob, type ServeEnd, type TrainerEnv } from '../roles/trainer.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import type { Context } from './command.js';
import { customerPorts } from './customer-ports.js';
import { fetchSnapshot } from './find-job.js';
import { jobFiles } from './lead.js';
import type { TrainerEngines } from './trainer-engines.js';
import { quoteOf, SAT, skipReason, type Bounds } from './trainer-bounds.js';
import { describeSkip, skippedJob, type SkipReason } from './trainer-skips.js';

/** A trainer's process: what all its jobs share. */
export interface Server {
  readonly context: Context;
  readonly ports: Awaited<ReturnType<typeof customerPorts>>;
  readonly bounds: Bounds;
  readonly wallet: Wallet | null;
  readonly inbox: Inbox;
  readonly engineId: TrainerEngines['idFor'];
  readonly engines: TrainerEngines;
  readonly stop: AbortSignal;
  /** Jobs that it holds a seat of now; changed. */
  readonly seats: Set<EventId>;
  readonly held: () => number;
  emit(job: EventId | null, event: string, fields: Record<string, unknown>, text: string): void;
}

/** Old jobs end by their deadlines; what this home began is found in its own folder. */
const LOOK_BACK_SEC = 7 * 86_400;
const RETRY_MS = 30_000;

/**
 * Every job that appears, several at a time. With `once` the first job done ends it; one that was over before this run began only
 * when nothing else is open, so that a second run gives the same result and a new job is not missed.
 * @returns the end that satisfied `once`, or null when stopped
 */
export async function serveAll(server: Server, only: EventId | undefined, once: boolean): Promise<ServeEnd | null> {
  const { relays, clock } = server.ports;
  const recent = { kinds: [KINDS.job], '#t': [PROTOCOL_TAG], since: clock.nowSec() - LOOK_BACK_SEC };
  const filters: Filter[] = only === undefined ? [recent, ...(await begunJobs(server))] : [{ ids: [only] }];
  const begun = new Set<string>();
  let working = 0;
  let finishedBefore: ServeEnd | null = null;
  let failedBefore: unknown;
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
          if (only !== undefined || (once && working === 0)) return fail(error);
          failedBefore = error;
          // Months of service outlast a relay's restart: what may be tried again is.
          if (isNmktError(error) && ERRORS[error.code].retry) void again(event);
          tellError(server, event.id, error);
        });
    };
    const again = async (event: NostrEvent): Promise<void> => {
      await clock.wait(RETRY_MS, AbortSignal.any([server.stop, stop.signal]));
      begun.delete(event.id);
      begin(event);
    };
    const settleOnce = (): void => {
      if (!isStocked || working > 0) return;
      if (finishedBefore !== null) finish(finishedBefore);
      else if (failedBefore !== undefined) fail(failedBefore);
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
    skip(server, job, reason, snapshot);
    if (isNamed) throw skippedJob(job, reason, bounds, snapshot);
    return null;
  }
  // Its story was told when it happened; only what is still to come is told.
  const isPast = job.content.deadline <= clock.nowSec();
  const book = await openBook(job.id, { ...ports, bell, journal });
  if (!isNamed && !isPast && isOthers(book.state(), signer.pubkey, clock.nowSec())) {
    book.close();
    await journal.close();
    skip(server, job, 'awarded', snapshot);
    return null;
  }
  const unwatch = server.inbox.watch(bell);
  const priceMsat = job.content.rail === 'none' ? 0n : bounds.priceMsat;
  // What a uniform price comes to, others' bids decide; what an own policy asked before the last restart, its bid.
  const isFixed = policyName(bounds) === 'fixed';
  const roundMsat = isFixed && job.content.payment !== 'uniform' ? priceMsat : job.content.maxPriceMsat;
  const maxExposureMsat = bounds.maxExposureMsat ?? roundMsat * BigInt(bounds.shards);
  let engine: Promise<Engine> | undefined;
  const env: TrainerEnv = {
    book,
    relays,
    signer,
    inbox: server.inbox,
    clock,
    random,
    bell,
    files: jobFiles(ports.files, job.id),
    chunks: chunkFiles(ports.files, `jobs/${job.id}`),
    ...(!isFixed &&
      job.content.rail !== 'none' && { quote: () => quoteOf(bounds, job.content, snapshot!, server.held()) }),
    terms: { priceMsat, shards: bounds.shards, maxExposureMsat, maxBytes: bounds.maxBytes },
    snapshot: snapshot!,
    wallet: server.wallet,
    network: context.deps.network,
    paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
    engine: () => (engine ??= server.engines.forJob(job, snapshot!)),
    shard: { opened: null },
    progress: context.progress,
    signal: server.stop,
    emit(name, fields, text) {
      if (name === 'awarded') server.seats.add(job.id);
      if (!isPast || isNamed) server.emit(job.id, name, fields, text);
    },
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
    server.seats.delete(job.id);
    await engine?.then((own) => own.close()).catch(() => undefined);
    unwatch();
    book.close();
    await journal.close();
  }
}

/** Why a job ends here; the others go on. */
function tellError(server: Server, job: EventId, error: unknown): void {
  if (!isNmktError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return server.emit(job, 'error', { message }, `error: ${message}`);
  }
  const { message, code, expected, got } = error;
  const found = expected === undefined ? '' : `: expected ${expected}, got ${got}`;
  server.emit(job, 'error', { message, code, expected, got }, `error: ${message}${found}`);
}

function skip(server: Server, job: EventOf<'job'>, reason: SkipReason, snapshot: Snapshot | null): void {
  const { expected, got } = describeSkip(reason, job, server.bounds, snapshot, server.held());
  server.emit(job.id, 'skipped', { reason, expected, got }, `skipped: expected ${expected}, got ${got}`);
}

/** Awarded before this trainer had a part in it, and without a seat that is free. */
function isOthers(state: JobState, me: Pubkey, nowSec: number): boolean {
  if (state.phase === 'awarding' || (state.chains.get(me)?.events.length ?? 0) > 0) return false;
  return !takesLateBids(state, nowSec) || !vacantShards(state).some((shard) => mayBeTakenOver(state, shard));
}
