import type { EventId, Pubkey } from '../hash.js';
import { mayBeTakenOver, takesLateBids, vacantShards } from '../market/late-bids.js';
import type { JobState } from '../market/state.js';
import { JOB } from '../protocol/job.js';
import { KINDS } from '../protocol/kinds.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { NostrEvent } from '../ports.js';
import { wrapRumor } from '../relay/gift-wrap.js';
import { allowedRelayUrl } from '../relay/relay-url.js';
import { createBell } from '../roles/bell.js';
import { openBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { insisting } from '../roles/patience.js';
import { policyName } from '../roles/price-policy.js';
import { serveJob, type ServeEnd, type TrainerEnv } from '../roles/trainer.js';
import { awaitDeclared } from './find-job.js';
import { serveEach } from './serve-jobs.js';
import type { TrainerEngines } from './trainer-engines.js';
import { quoteOf, skipReason } from './trainer-bounds.js';
import { describeSkip, skippedJob, type SkipReason } from './trainer-skips.js';
import { workOnJob, type WorkServer } from './serve-work.js';

/** A trainer's process: what all its jobs share. */
export interface Server extends WorkServer {
  readonly engineId: TrainerEngines['idFor'];
  /** Jobs that it holds a seat of now; changed. */
  readonly seats: Set<EventId>;
  readonly held: () => number;
}

/** Every job that appears, as a trainer. @see serveEach */
export function serveAll(server: Server, only: EventId | undefined, once: boolean): Promise<ServeEnd | null> {
  return serveEach(server, (event, isNamed) => serveOne(server, event, isNamed), only, once);
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
  const snapshot = await awaitDeclared(ports, job.author, job.content.dataset, server.stop);
  const reason = snapshot === null ? 'dataset-missing' : await skipReason(server, job, snapshot, isBegun);
  if (reason !== null) {
    await journal.close();
    skip(server, job, reason, snapshot);
    if (isNamed) throw skippedJob(job, reason, bounds, snapshot);
    return null;
  }
  // Its story was told when it happened; only what is still to come is told.
  const isPast = job.content.deadline <= clock.nowSec();
  const book = await insisting({ clock, bell, progress: context.progress, signal: server.stop }, () =>
    openBook(job.id, { ...ports, bell, journal }),
  );
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
  const work = workOnJob(server, { job, snapshot: snapshot! }, { book, bell }, !isPast || isNamed);
  const env: TrainerEnv = {
    ...work.env,
    ...(!isFixed &&
      job.content.rail !== 'none' && { quote: () => quoteOf(bounds, job.content, snapshot!, server.held()) }),
    terms: { priceMsat, shards: bounds.shards, maxExposureMsat, maxBytes: bounds.maxBytes },
    shard: { opened: null },
    post: {
      wrap: (content, to) =>
        wrapRumor({ kind: KINDS.grant, content, tags: [] }, signer, to as Pubkey, random, clock.nowSec()),
      allowedRelay: (url) => allowedRelayUrl(url, context.deps.network, relays.urls),
    },
    emit(name, fields, text) {
      if (name === 'awarded') server.seats.add(job.id);
      work.env.emit(name, fields, text);
    },
  };
  try {
    const end = await serveJob(env);
    if (end.wasOver && isPast && !isNamed) return null;
    work.tell(end);
    return end;
  } finally {
    server.seats.delete(job.id);
    await work.close();
    unwatch();
    book.close();
    await journal.close();
  }
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
