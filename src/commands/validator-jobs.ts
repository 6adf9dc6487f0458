import { formatPubkey } from '../config/identifiers.js';
import { isNmktError, NmktError, type ErrorCode } from '../errors.js';
import type { EventId } from '../hash.js';
import { maxShardBytes } from '../learning/examples.js';
import { parameterCount } from '../learning/params.js';
import { stakeToPut } from '../market/stake-terms.js';
import type { Snapshot } from '../protocol/dataset.js';
import { tagValue } from '../protocol/envelope.js';
import type { EventOf } from '../protocol/events.js';
import { JOB } from '../protocol/job.js';
import type { NostrEvent } from '../ports.js';
import type { ServeEnd } from '../roles/trainer.js';
import { createBell } from '../roles/bell.js';
import { openBook, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { insisting } from '../roles/patience.js';
import { serveValidator, type ValidatorEnd } from '../roles/validator.js';
import { validateInArena } from './arena-serve.js';
import { awaitDeclared } from './find-job.js';
import { serveEach } from './serve-jobs.js';
import { SAT, trainingBytes } from './trainer-bounds.js';
import { stakeSats } from './trainer-skips.js';
import { workOnJob, type WorkServer } from './serve-work.js';

/** Every job that appears, as a validator; `priceMsat` of the bounds is the least fee. @see serveEach */
export function validateAll(
  server: WorkServer,
  only: EventId | undefined,
  once: boolean,
): Promise<ValidatorEnd | ServeEnd | null> {
  return serveEach<ValidatorEnd | ServeEnd>(
    server,
    (event, isNamed) =>
      tagValue(event, 'phase') === 'arena'
        ? validateInArena(server, event, isNamed)
        : validateOne(server, event, isNamed),
    only,
    once,
  );
}

type Reason =
  | 'own-job'
  | 'closed'
  | 'no-seats'
  | 'awarded'
  | 'customer'
  | 'no-wallet'
  | 'network'
  | 'fee'
  | 'stake'
  | 'max-params'
  | 'max-bytes'
  | 'engine'
  | 'dataset-missing';

interface Data {
  readonly train: Snapshot;
  readonly a: Snapshot;
}

/** All shards at a time, and a training that is repeated. */
function validatorBytes({ content }: EventOf<'job'>, { train, a }: Data): number {
  const shards = [...train.manifest.shards, ...a.manifest.shards];
  const data = shards.reduce((sum, { examples }) => sum + maxShardBytes(train.manifest.schema, examples), 0);
  return data + trainingBytes(content, train);
}

/** Why a job is not for this validator, with what was expected and got; a job that was begun goes on. */
async function refusal(
  { bounds, ports, wallet, engines }: WorkServer,
  job: EventOf<'job'>,
  data: Data | null,
): Promise<readonly [Reason, expected: string, got: string] | null> {
  const { content: terms, author } = job;
  const { validators } = terms;
  if (author === ports.signer.pubkey) return ['own-job', 'a job of another key', 'the key of its customer'];
  if (terms.deadline <= ports.clock.nowSec()) return ['closed', 'a job before its deadline', 'one that is over'];
  if (validators === undefined) return ['no-seats', 'a job with seats for validators', 'none'];
  if (bounds.deny.has(author) || (bounds.allow.size > 0 && !bounds.allow.has(author)))
    return ['customer', 'a customer that --allow and --deny let in', formatPubkey(author)];
  if (validators.feeMsat > 0n && wallet === null) return ['no-wallet', 'a wallet: this job pays', 'none'];
  if (validators.feeMsat > 0n && terms.network !== bounds.network)
    return ['network', `a job that pays on ${bounds.network}, where this wallet is`, `one on ${terms.network}`];
  if (validators.feeMsat < bounds.priceMsat)
    return ['fee', `a fee of ${bounds.priceMsat / SAT} sat per round`, `${validators.feeMsat / SAT} sat`];
  if (stakeToPut(terms, 'validator') > bounds.maxStakeMsat) {
    const asked = `a job that asks for ${stakeSats(terms, 'validator')} sat, lost by a proven fraud`;
    return ['stake', `a stake of at most ${bounds.maxStakeMsat / SAT} sat (--max-stake)`, asked];
  }
  const size = parameterCount(terms.model);
  if (size > bounds.maxParams) return ['max-params', `at most ${bounds.maxParams} parameters`, `${size}`];
  if (data === null) return ['dataset-missing', 'the data of the job', 'nothing from the relays'];
  const bytes = validatorBytes(job, data);
  if (bytes > bounds.maxBytes) return ['max-bytes', `at most ${bounds.maxBytes} bytes of memory`, `about ${bytes}`];
  try {
    await engines.idFor(terms.acceptedEngines);
  } catch (error) {
    if (!isNmktError(error, 'engine-unavailable')) throw error;
    return ['engine', `one of the engines ${terms.acceptedEngines.join(', ')}`, 'another one here'];
  }
  return null;
}

const CODES: Partial<Record<Reason, ErrorCode>> = { 'no-wallet': 'no-wallet' };

function skipped(job: EventOf<'job'>, [reason, expected, got]: readonly [Reason, string, string]): NmktError {
  return new NmktError(
    CODES[reason] ?? 'job-closed',
    `job ${job.id.slice(0, 12)}… is not for this validator: ${reason}`,
    { expected, got, remedy: 'serve other jobs: leave out --job; nmkt serve-validator --help names the bounds' },
  );
}

async function validateOne(server: WorkServer, event: NostrEvent, isNamed: boolean): Promise<ValidatorEnd | null> {
  const { ports, context, inbox } = server;
  const { clock } = ports;
  let job: EventOf<'job'>;
  try {
    job = JOB.parse(event);
  } catch {
    return null;
  }
  const bell = createBell(clock);
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job.id)));
  const isBegun = (await journal.read()).length > 0;
  const [train, a] = [
    await awaitDeclared(ports, job.author, job.content.dataset, server.stop),
    await awaitDeclared(ports, job.author, job.content.evalA.snapshot, server.stop),
  ];
  const data = train === null || a === null ? null : { train, a };
  const skip = async (why: readonly [Reason, string, string]): Promise<null> => {
    await journal.close();
    const [reason, expected, got] = why;
    server.emit(job.id, 'skipped', { reason, expected, got }, `skipped: expected ${expected}, got ${got}`);
    if (isNamed) throw skipped(job, why);
    return null;
  };
  const why = isBegun && data !== null ? null : await refusal(server, job, data);
  if (why !== null || data === null) return skip(why ?? ['dataset-missing', 'the data of the job', 'nothing']);
  const book = await insisting({ clock, bell, progress: context.progress, signal: server.stop }, () =>
    openBook(job.id, { ...ports, bell, journal }),
  );
  if (!isBegun && book.state().phase !== 'awarding') {
    book.close();
    return skip(['awarded', 'a job before its award', 'one that has its validators']);
  }
  const isPast = job.content.deadline <= clock.nowSec();
  const unwatch = inbox.watch(bell);
  const work = workOnJob(server, { job, snapshot: data.train }, { book, bell }, !isPast || isNamed);
  try {
    const end = await serveValidator({ ...work.env, evalA: data.a, data: { opened: null } });
    if (end.wasOver && isPast && !isNamed) return null;
    work.tell(end);
    return end;
  } finally {
    await work.close();
    unwatch();
    book.close();
    await journal.close();
  }
}
