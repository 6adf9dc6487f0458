import { formatPubkey } from '../config/identifiers.js';
import { isNmktError, NmktError, type ErrorCode } from '../errors.js';
import { sha256 } from '../hash.js';
import { subset } from '../learning/examples.js';
import { callBytes } from '../learning/model-cost.js';
import { parameterCount } from '../learning/params.js';
import { stratifiedSplit } from '../learning/partition.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { leastStake } from '../market/alliance/open-rules.js';
import { ALLIANCE_JOB } from '../protocol/alliance/job.js';
import type { EventOf } from '../protocol/events.js';
import type { Engine, NostrEvent } from '../ports.js';
import type { MemberEnv } from '../roles/alliance/env.js';
import { serveAlliance } from '../roles/alliance/member.js';
import { createBell } from '../roles/bell.js';
import { openBookOf, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import type { ServeEnd } from '../roles/trainer.js';
import { readWithSchema } from '../training/dataset.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import { ALLIANCE_READING } from './find-alliance.js';
import { jobFiles } from './lead.js';
import { tellEnd, type WorkServer } from './serve-work.js';
import { SAT } from './trainer-bounds.js';

/** Every alliance that appears, as a member with data of its own. */

/** Of the own rows: what a voter measures on, and never trains on. */
const TEST_SHARE = 0.2;
const LEAST_ROWS = 10;

export interface LocalData {
  readonly train: Examples;
  readonly test: Examples;
}

/**
 * Reads the own file as the job's rows become numbers; the same rows are held out every time.
 *
 * @throws NmktError `bad-dataset` and others of the file, also where it has too few rows
 */
export async function readLocalData(path: string, schema: DataSchema): Promise<LocalData> {
  const { examples } = await readWithSchema(path, schema);
  const { rows, labels } = examples;
  if (rows < LEAST_ROWS)
    throw new NmktError('bad-dataset', `${path} has too few rows to train on some and to measure on others`, {
      expected: `at least ${LEAST_ROWS}`,
      got: `${rows}`,
      remedy: 'bring more rows',
    });
  const of = labels instanceof Int32Array && labels.length === rows ? labels : rows;
  const [train, test] = stratifiedSplit(of, [1 - TEST_SHARE, TEST_SHARE], sha256('nmkt/alliance/local'));
  return { train: subset(examples, train!), test: subset(examples, test!) };
}

type Reason =
  | 'own-job'
  | 'closed'
  | 'customer'
  | 'no-wallet'
  | 'network'
  | 'stake'
  | 'max-params'
  | 'max-bytes'
  | 'local-data'
  | 'engine';
type Refusal = readonly [Reason, expected: string, got: string];

/** Memory of a training on all own rows. */
function bytesOf({ content }: EventOf<'alliance-job'>, { train }: LocalData): number {
  const { rows, inputs, features } = train;
  const dataBytes = rows * inputs * features.BYTES_PER_ELEMENT;
  return callBytes(content.model, { batch: Math.min(content.hyper.batch, rows), rows, dataBytes });
}

/** Why a job is not for this member, but for its data; a job that was begun goes on. */
function refusal({ bounds, ports, wallet }: WorkServer, { author, content }: EventOf<'alliance-job'>): Refusal | null {
  if (author === ports.signer.pubkey) return ['own-job', 'a job of another key', 'the key of its customer'];
  if (content.deadline <= ports.clock.nowSec()) return ['closed', 'a job before its deadline', 'one that is over'];
  if (bounds.deny.has(author) || (bounds.allow.size > 0 && !bounds.allow.has(author)))
    return ['customer', 'a customer that --allow and --deny let in', formatPubkey(author)];
  const pays = content.rail !== 'none' && content.alliance.potMsat > 0n;
  if (pays && wallet === null) return ['no-wallet', 'a wallet: this job pays', 'none'];
  if (pays && content.network !== bounds.network)
    return ['network', `a job that pays on ${bounds.network}, where this wallet is`, `one on ${content.network}`];
  const stakeMsat = content.stake === undefined ? 0n : leastStake(content);
  if (stakeMsat > bounds.maxStakeMsat)
    return ['stake', `a stake of at most ${bounds.maxStakeMsat / SAT} sat (--max-stake)`, `${stakeMsat / SAT} sat`];
  const size = parameterCount(content.model);
  return size > bounds.maxParams ? ['max-params', `at most ${bounds.maxParams} parameters`, `${size}`] : null;
}

/** The own rows, as a job wants them, and whether a training on them fits here. */
async function dataFor(
  { bounds, engines }: WorkServer,
  path: string,
  job: EventOf<'alliance-job'>,
): Promise<LocalData | Refusal> {
  let local: LocalData;
  try {
    local = await readLocalData(path, job.content.schema);
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return ['local-data', `rows like those of the job: ${error.expected ?? error.message}`, error.got ?? error.message];
  }
  const bytes = bytesOf(job, local);
  if (bytes > bounds.maxBytes) return ['max-bytes', `at most ${bounds.maxBytes} bytes of memory`, `about ${bytes}`];
  try {
    await engines.idFor(job.content.acceptedEngines);
  } catch (error) {
    if (!isNmktError(error, 'engine-unavailable')) throw error;
    return ['engine', `one of the engines ${job.content.acceptedEngines.join(', ')}`, 'another one here'];
  }
  return local;
}

const isRefusal = (found: LocalData | Refusal): found is Refusal => Array.isArray(found);
const CODES: Partial<Record<Reason, ErrorCode>> = { 'no-wallet': 'no-wallet', 'local-data': 'bad-dataset' };

/** @param path  of the own data */
export async function serveOneAlliance(
  server: WorkServer,
  path: string,
  event: NostrEvent,
  isNamed: boolean,
): Promise<ServeEnd | null> {
  const { ports, context, inbox, wallet, engines, bounds, stop } = server;
  const { signer, clock, random, relays } = ports;
  let job: EventOf<'alliance-job'>;
  try {
    job = ALLIANCE_JOB.parse(event);
  } catch {
    return null;
  }
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job.id)));
  const isBegun = (await journal.read()).length > 0;
  const found = (isBegun ? null : refusal(server, job)) ?? (await dataFor(server, path, job));
  if (isRefusal(found)) {
    await journal.close();
    const [reason, expected, got] = found;
    server.emit(job.id, 'skipped', { reason, expected, got }, `skipped: expected ${expected}, got ${got}`);
    if (!isNamed) return null;
    const remedy = 'serve other jobs: leave out --job; nmkt serve-trainer --help names the bounds';
    const message = `job ${job.id.slice(0, 12)}… is not for this member: ${reason}`;
    throw new NmktError(CODES[reason] ?? 'job-closed', message, { expected, got, remedy });
  }
  const bell = createBell(clock);
  const book = await openBookOf(job.id, { ...ports, bell, journal, reading: ALLIANCE_READING });
  const unwatch = inbox.watch(bell);
  const isPast = ['finished', 'cancelled'].includes(book.state().phase) && !isNamed;
  let engine: Promise<Engine> | undefined;
  const env: MemberEnv = {
    ...{ book, relays, signer, inbox, clock, random, bell, wallet, progress: context.progress, signal: stop },
    files: jobFiles(ports.files, job.id),
    stake: { stake: () => context.deps.stake(), maxMsat: bounds.maxStakeMsat },
    network: context.deps.network,
    paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
    local: async () => found,
    engine: () => (engine ??= engines.forAny(job, bytesOf(job, found))),
    emit: (name, fields, text) => (isPast ? undefined : server.emit(job.id, name, fields, text)),
  };
  try {
    const end = await serveAlliance(env);
    if (end.wasOver && isPast) return null;
    tellEnd(server, job.id, end);
    return end;
  } finally {
    await engine?.then((own) => own.close()).catch(() => undefined);
    unwatch();
    book.close();
    await journal.close();
  }
}
