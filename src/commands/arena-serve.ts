import { formatPubkey } from '../config/identifiers.js';
import { isNmktError, NmktError, type ErrorCode } from '../errors.js';
import { maxShardBytes } from '../learning/examples.js';
import { modelBytes, modelCost } from '../learning/model-cost.js';
import { parameterCount } from '../learning/params.js';
import { stakeToPut } from '../market/stake-terms.js';
import { ARENA_JOB } from '../protocol/arena/job.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Engine, NostrEvent } from '../ports.js';
import type { ArenaTrainerEnv } from '../roles/arena/env.js';
import { candidatesFor, type Candidate, type Recipe } from '../roles/arena/recipe.js';
import { serveArena, type ArenaEnd } from '../roles/arena/trainer.js';
import { validateArena } from '../roles/arena/validator.js';
import { createBell } from '../roles/bell.js';
import { chunkFiles } from '../roles/home-files.js';
import { openBookOf, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import { ARENA_READING } from './arena-lead.js';
import { fetchDeclared } from './find-job.js';
import { jobFiles } from './lead.js';
import { tellEnd, type WorkServer } from './serve-work.js';
import { SAT } from './trainer-bounds.js';

/** Every arena that appears, as a trainer with recipes of its own or as a validator. */

type Job = EventOf<'arena-job'>;
type Reason =
  | 'own-job'
  | 'closed'
  | 'customer'
  | 'no-wallet'
  | 'network'
  | 'stake'
  | 'recipe'
  | 'max-bytes'
  | 'engine'
  | 'dataset-missing';
type Refusal = readonly [Reason, expected: string, got: string];
type Work = Omit<ArenaTrainerEnv, 'candidates' | 'trainSec' | 'snapshot'>;

/** Why a job is not for this key; one that was begun goes on. */
function refusal(
  { bounds, ports, wallet }: WorkServer,
  { author, content }: Job,
  role: 'trainer' | 'validator',
): Refusal | null {
  if (author === ports.signer.pubkey) return ['own-job', 'a job of another key', 'the key of its customer'];
  if (content.arena.finalUntil <= ports.clock.nowSec())
    return ['closed', 'an arena that takes submissions', 'one that is over'];
  if (bounds.deny.has(author) || (bounds.allow.size > 0 && !bounds.allow.has(author)))
    return ['customer', 'a customer that --allow and --deny let in', formatPubkey(author)];
  const pays = content.rail !== 'none';
  if (pays && wallet === null) return ['no-wallet', 'a wallet: this job pays', 'none'];
  if (pays && content.network !== bounds.network)
    return ['network', `a job that pays on ${bounds.network}, where this wallet is`, `one on ${content.network}`];
  const stakeMsat = stakeToPut(content, role);
  return stakeMsat > bounds.maxStakeMsat
    ? ['stake', `a stake of at most ${bounds.maxStakeMsat / SAT} sat (--max-stake)`, `${stakeMsat / SAT} sat`]
    : null;
}

async function lacksEngine({ engines }: WorkServer, { content }: Job): Promise<Refusal | null> {
  try {
    await engines.idFor(content.acceptedEngines);
    return null;
  } catch (error) {
    if (!isNmktError(error, 'engine-unavailable')) throw error;
    return ['engine', `one of the engines ${content.acceptedEngines.join(', ')}`, 'another one here'];
  }
}

const isRefusal = <T>(found: T | Refusal): found is Refusal => Array.isArray(found) && typeof found[0] === 'string';
const CODES: Partial<Record<Reason, ErrorCode>> = { 'no-wallet': 'no-wallet', recipe: 'bad-recipe' };

interface Served<T> {
  readonly server: WorkServer;
  readonly event: NostrEvent;
  readonly isNamed: boolean;
  readonly role: 'trainer' | 'validator';
  /** What the role needs of the job, or why it is not for it. */
  readonly prepare: (job: Job) => Promise<T | Refusal>;
  /** Bytes of its largest training or evaluation. */
  readonly bytes: (found: T) => number;
  readonly work: (env: Work, found: T) => Promise<ArenaEnd>;
}

async function serveOne<T>({
  server,
  event,
  isNamed,
  role,
  prepare,
  bytes,
  work,
}: Served<T>): Promise<ArenaEnd | null> {
  const { ports, context, inbox, wallet, engines, bounds, stop } = server;
  const { signer, clock, random, relays, files } = ports;
  let job: Job;
  try {
    job = ARENA_JOB.parse(event);
  } catch {
    return null;
  }
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job.id)));
  const isBegun = (await journal.read()).length > 0;
  const found =
    (isBegun ? null : (refusal(server, job, role) ?? (await lacksEngine(server, job)))) ?? (await prepare(job));
  if (isRefusal(found)) {
    await journal.close();
    const [reason, expected, got] = found;
    server.emit(job.id, 'skipped', { reason, expected, got }, `skipped: expected ${expected}, got ${got}`);
    if (!isNamed) return null;
    const remedy = `serve other jobs: leave out --job; nmkt serve-${role} --help names the bounds`;
    const message = `arena ${job.id.slice(0, 12)}… is not for this ${role}: ${reason}`;
    throw new NmktError(CODES[reason] ?? 'job-closed', message, { expected, got, remedy });
  }
  const bell = createBell(clock);
  const book = await openBookOf(job.id, { ...ports, bell, journal, reading: ARENA_READING });
  const unwatch = inbox.watch(bell);
  const isPast = ['finished', 'cancelled'].includes(book.state().phase) && !isNamed;
  let engine: Promise<Engine> | undefined;
  const env: Work = {
    ...{ book, relays, signer, inbox, clock, random, bell, wallet, progress: context.progress, signal: stop },
    ...{ files: jobFiles(files, job.id), chunks: chunkFiles(files, `jobs/${job.id}`) },
    stake: { stake: () => context.deps.stake(), maxMsat: bounds.maxStakeMsat },
    network: context.deps.network,
    paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
    engine: () => (engine ??= engines.forAny(job, bytes(found))),
    emit: (name, fields, text) => (isPast ? undefined : server.emit(job.id, name, fields, text)),
  };
  try {
    const end = await work(env, found);
    if (end.wasOver && isPast) return null;
    tellEnd(server, job.id, end.end === 'done' ? { ...end, rounds: end.stages } : end);
    return end;
  } finally {
    await engine?.then((own) => own.close()).catch(() => undefined);
    unwatch();
    book.close();
    await journal.close();
  }
}

export interface Choice {
  readonly recipes: readonly Recipe[];
  /** Of each stage. */
  readonly trainSec: number;
}

const rowsOf = ({ manifest }: Snapshot) => manifest.shards.reduce((sum, { examples }) => sum + examples, 0);

/** All rows, and the largest model that it tries. */
function bytesOf(snapshot: Snapshot, candidates: readonly Candidate[]): number {
  const data = maxShardBytes(snapshot.manifest.schema, rowsOf(snapshot));
  return data + Math.max(...candidates.map(({ spec, hyper }) => modelBytes(modelCost(spec), hyper.batch)));
}

const MISSING: Refusal = ['dataset-missing', 'the data of the job', 'nothing from the relays'];

export function trainInArena(
  server: WorkServer,
  { recipes, trainSec }: Choice,
  event: NostrEvent,
  isNamed: boolean,
): Promise<ArenaEnd | null> {
  return serveOne<{ readonly snapshot: Snapshot; readonly candidates: readonly Candidate[] }>({
    ...{ server, event, isNamed, role: 'trainer' },
    async prepare(job) {
      const snapshot = await fetchDeclared(server.ports.relays, job.author, job.content.dataset);
      if (snapshot === null) return MISSING;
      const { maxParams, maxBytes } = server.bounds;
      try {
        const fitting = candidatesFor(recipes, snapshot.manifest.schema, job.content.arena);
        const candidates = fitting.filter(({ spec }) => parameterCount(spec) <= maxParams);
        if (candidates.length === 0)
          return ['recipe', `one of at most ${maxParams} parameters (--max-params)`, 'larger ones'];
        const bytes = bytesOf(snapshot, candidates);
        if (bytes > maxBytes) return ['max-bytes', `at most ${maxBytes} bytes of memory`, `about ${bytes}`];
        return { snapshot, candidates };
      } catch (error) {
        if (!isNmktError(error, 'bad-recipe')) throw error;
        return ['recipe', error.expected ?? 'a recipe for the job', error.got ?? error.message];
      }
    },
    bytes: ({ snapshot, candidates }) => bytesOf(snapshot, candidates),
    work: (env, found) => serveArena({ ...env, ...found, trainSec }),
  });
}

/** What one model may take to be measured, beside the set. */
const MODEL_BYTES = 2 ** 28;

export function validateInArena(server: WorkServer, event: NostrEvent, isNamed: boolean): Promise<ArenaEnd | null> {
  return serveOne<{ readonly snapshot: Snapshot; readonly sets: readonly [Snapshot, Snapshot] }>({
    ...{ server, event, isNamed, role: 'validator' },
    async prepare({ author, content }) {
      const { relays } = server.ports;
      const snapshot = await fetchDeclared(relays, author, content.dataset);
      const a = await fetchDeclared(relays, author, content.evalA.snapshot);
      const b = await fetchDeclared(relays, author, content.evalB.snapshot);
      return snapshot === null || a === null || b === null ? MISSING : { snapshot, sets: [a, b] };
    },
    bytes: ({ sets }) => MODEL_BYTES + Math.max(...sets.map((set) => maxShardBytes(set.manifest.schema, rowsOf(set)))),
    work: (env, { snapshot, sets }) => validateArena({ ...env, snapshot, sets, opened: new Map() }),
  });
}
