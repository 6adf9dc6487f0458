import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { parseEventReference, parsePubkey } from '../config/identifiers.js';
import { maxShardBytes } from '../learning/examples.js';
import { parameterCount } from '../learning/params.js';
import type { Rung } from '../learning/types.js';
import { rungOf } from '../market/auction.js';
import { JOB, type JobTerms } from '../protocol/job.js';
import { KINDS, PROTOCOL_TAG } from '../protocol/kinds.js';
import { parseSnapshot, type Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Engine, NostrEvent, Relays, Wallet } from '../ports.js';
import { unwrapRumor } from '../relay/gift-wrap.js';
import { createBell } from '../roles/bell.js';
import { openInbox, type Inbox } from '../roles/inbox.js';
import { parseDuration } from '../roles/job-file.js';
import { openBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/post.js';
import { serveJob, type ServeEnd, type TrainerEnv } from '../roles/trainer.js';
import type { CommandModule, Context } from './command.js';
import { customerPorts, optionalInteger } from './customer-ports.js';
import { jobFiles } from './lead.js';

const SAT = 1_000n;

interface Bounds {
  readonly priceMsat: bigint;
  readonly maxParams: number;
  readonly maxBytes: number;
  readonly maxMinutes: number;
  readonly maxExposureMsat: bigint | null;
  readonly allow: ReadonlySet<Pubkey>;
  readonly deny: ReadonlySet<Pubkey>;
}

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
      );
  },

  async run(_args, options, context) {
    const { deps, progress, signal } = context;
    const bounds = readBounds(options);
    const only = typeof options['job'] === 'string' ? parseEventReference(options['job']) : undefined;
    if (only?.type === 'address')
      throw new NmktError('bad-key', 'a job is an event, not an address', {
        expected: 'an event id',
        got: 'naddr',
        remedy: '--job ID',
      });
    const ports = await customerPorts(context);
    const timeout =
      typeof options['timeout'] === 'string'
        ? AbortSignal.timeout(parseDuration(options['timeout'], '--timeout') * 1000)
        : undefined;
    const stop = timeout === undefined ? signal : AbortSignal.any([signal, timeout]);
    const { relays, signer, clock } = ports;
    const wallet = await deps.wallet();
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
    }
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

function readBounds(options: Readonly<Record<string, unknown>>): Bounds {
  const price = optionalInteger(options['price'], '--price', 0, 21e14)!;
  const people = (name: string) => new Set(((options[name] as string[] | undefined) ?? []).map(parsePubkey));
  const exposure = optionalInteger(options['maxExposure'], '--max-exposure', 0, 21e14);
  return {
    priceMsat: BigInt(price) * SAT,
    maxParams: optionalInteger(options['maxParams'], '--max-params', 1, 1e12) ?? 20_000_000,
    maxBytes: optionalInteger(options['maxBytes'], '--max-bytes', 1, 2 ** 40) ?? 1_073_741_824,
    maxMinutes: optionalInteger(options['maxMinutes'], '--max-minutes', 1, 525_600) ?? 60,
    maxExposureMsat: exposure === undefined ? null : BigInt(exposure) * SAT,
    allow: people('allow'),
    deny: people('deny'),
  };
}

/** Every job that appears, several at a time; @returns the end that satisfied --once, or null when stopped. */
async function serveAll(server: Server, only: EventId | undefined, once: boolean): Promise<ServeEnd | null> {
  const { relays } = server.ports;
  const begun = new Set<string>();
  return new Promise((resolve, reject) => {
    const filter = only === undefined ? { kinds: [KINDS.job], '#t': [PROTOCOL_TAG] } : { ids: [only] };
    const finish = (end: ServeEnd | null): void => {
      subscription.close();
      resolve(end);
    };
    const begin = (event: NostrEvent): void => {
      if (begun.has(event.id) || server.stop.aborted) return;
      begun.add(event.id);
      serveOne(server, event, only !== undefined)
        .then((end) => {
          if (end === null) return;
          if (once && end.end === 'done') finish(end);
          else if (once && only !== undefined && end.end !== 'done')
            throw new NmktError('not-awarded', `job ${event.id.slice(0, 12)}… is over for this trainer: ${end.why}`, {
              expected: 'a seat',
              got: end.why,
              remedy: 'serve other jobs: leave out --job',
            });
        })
        .catch((error: unknown) => {
          if (server.stop.aborted) return;
          if (once || only !== undefined) {
            subscription.close();
            reject(error instanceof Error ? error : new Error(String(error)));
          } else {
            const message = error instanceof Error ? error.message : String(error);
            server.emit(
              event.id,
              'error',
              { message, ...(error instanceof NmktError ? { code: error.code } : {}) },
              `error: ${message}`,
            );
          }
        });
    };
    const subscription = relays.subscribe([filter], begin);
    if (server.stop.aborted) finish(null);
    server.stop.addEventListener('abort', () => finish(null), { once: true });
    void expectJob(relays, only, reject);
  });
}

/** A job that was named must exist. */
async function expectJob(relays: Relays, only: EventId | undefined, reject: (error: Error) => void): Promise<void> {
  if (only === undefined) return;
  const { events, answered } = await relays.fetch([{ ids: [only] }]);
  if (events.length === 0 && answered.length > 0)
    reject(
      new NmktError('job-unknown', `no relay has job ${only.slice(0, 12)}…`, {
        expected: 'a job',
        got: `nothing from ${answered.join(', ')}`,
        remedy: 'check the id, or name its relay with --relay',
      }),
    );
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
    server.emit(job.id, 'skipped', { reason }, `skipped: ${reason}`);
    if (isNamed)
      throw new NmktError(
        reason === 'no-wallet' ? 'no-wallet' : 'job-closed',
        `job ${job.id.slice(0, 12)}… is not for this trainer: ${reason}`,
        {
          expected: 'a job within the bounds of this trainer',
          got: reason,
          remedy: 'nmkt serve-trainer --help shows the bounds',
        },
      );
    return null;
  }
  const book = await openBook(job.id, { relays, clock, bell, signer, journal });
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
    engine: () => server.engine(job.content.acceptedEngines),
    shard: { examples: null },
    progress: context.progress,
    signal: server.stop,
    emit: (name, fields, text) => server.emit(job.id, name, fields, text),
  };
  try {
    const end = await serveJob(env);
    if (end.end === 'done')
      server.emit(
        job.id,
        'done',
        { rounds: end.rounds, paidMsat: end.paidMsat },
        `done: ${end.rounds} rounds, ${end.paidMsat / SAT} sat`,
      );
    else server.emit(job.id, end.end === 'lost' ? 'lost' : 'error', { reason: end.why }, `${end.end}: ${end.why}`);
    return end;
  } finally {
    unwatch();
    book.close();
    await journal.close();
  }
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

/** Why a job is not for this trainer; a job that was begun goes on whatever the bounds say now. */
async function skipReason(
  server: Server,
  job: EventOf<'job'>,
  snapshot: Snapshot,
  isBegun: boolean,
): Promise<string | null> {
  const { bounds, ports } = server;
  const terms: JobTerms = job.content;
  if (isBegun) return null;
  if (job.author === ports.signer.pubkey) return 'own-job';
  if (terms.deadline <= ports.clock.nowSec()) return 'closed';
  if (bounds.deny.has(job.author) || (bounds.allow.size > 0 && !bounds.allow.has(job.author))) return 'customer';
  if (terms.rail !== 'none' && server.wallet === null) return 'no-wallet';
  if (terms.rail !== 'none' && bounds.priceMsat > terms.maxPriceMsat) return 'price';
  if (terms.rail !== 'none' && bounds.priceMsat < terms.payoutFloorMsat) return 'payout-floor';
  if (parameterCount(terms.model) > bounds.maxParams) return 'max-params';
  if (
    snapshot.manifest.shards.some((shard) => maxShardBytes(snapshot.manifest.schema, shard.examples) > bounds.maxBytes)
  )
    return 'max-bytes';
  if (
    snapshot.manifest.schema.inputs !== terms.model.inputs ||
    snapshot.manifest.schema.outputs !== terms.model.outputs
  )
    return 'model';
  try {
    await server.engine(terms.acceptedEngines);
  } catch (error) {
    if (isNmktError(error, 'engine-unavailable')) return 'engine';
    throw error;
  }
  return null;
}
