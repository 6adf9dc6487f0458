import { isNmktError, NmktError } from '../errors.js';
import { sha256 } from '../hash.js';
import { subset } from '../learning/examples.js';
import { callBytes } from '../learning/model-cost.js';
import { parameterCount } from '../learning/params.js';
import { stratifiedSplit } from '../learning/partition.js';
import type { DataSchema, Examples } from '../learning/types.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import { leastStake } from '../market/alliance/open-rules.js';
import { ALLIANCE_JOB } from '../protocol/alliance/job.js';
import type { EventOf } from '../protocol/events.js';
import type { NostrEvent } from '../ports.js';
import { serveAlliance } from '../roles/alliance/member.js';
import type { ServeEnd } from '../roles/trainer.js';
import { ALLIANCE_READING } from './find-alliance.js';
import { lacksEngine, refuse, servePot, type PotService, type Refusal } from './serve-pot.js';
import type { WorkServer } from './serve-work.js';

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
  const { readWithSchema } = await import('../training/dataset.js');
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

/** Memory of a training on all own rows. */
function bytesOf({ content }: EventOf<'alliance-job'>, { train }: LocalData): number {
  const { rows, inputs, features } = train;
  const dataBytes = rows * inputs * features.BYTES_PER_ELEMENT;
  return callBytes(content.model, { batch: Math.min(content.hyper.batch, rows), rows, dataBytes });
}

/** Why a job is not for this member, but for its data; a job that was begun goes on. */
function refusal(server: WorkServer, job: EventOf<'alliance-job'>): Refusal | null {
  const { content } = job;
  const no = refuse(server, job, {
    ...{ closesAt: content.deadline, open: 'a job before its deadline' },
    pays: content.rail !== 'none' && content.alliance.potMsat > 0n,
    stakeMsat: content.stake === undefined ? 0n : leastStake(content),
  });
  const size = parameterCount(content.model);
  const { maxParams } = server.bounds;
  return no ?? (size > maxParams ? ['max-params', `at most ${maxParams} parameters`, `${size}`] : null);
}

/** The own rows, as a job wants them, and whether a training on them fits here. */
async function dataFor(server: WorkServer, path: string, job: EventOf<'alliance-job'>): Promise<LocalData | Refusal> {
  let local: LocalData;
  try {
    local = await readLocalData(path, job.content.schema);
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return ['local-data', `rows like those of the job: ${error.expected ?? error.message}`, error.got ?? error.message];
  }
  const bytes = bytesOf(job, local);
  const { maxBytes } = server.bounds;
  if (bytes > maxBytes) return ['max-bytes', `at most ${maxBytes} bytes of memory`, `about ${bytes}`];
  return (await lacksEngine(server, job)) ?? local;
}

/** @param path  of the own data */
export function serveOneAlliance(
  server: WorkServer,
  path: string,
  event: NostrEvent,
  isNamed: boolean,
): Promise<ServeEnd | null> {
  const service: PotService<EventOf<'alliance-job'>, FoldedAlliance, LocalData> = {
    parse: (one) => ALLIANCE_JOB.parse(one),
    reading: ALLIANCE_READING,
    ...{ words: ['job', 'member'], command: 'serve-trainer' },
    refusal: async (job) => refusal(server, job),
    prepare: (job) => dataFor(server, path, job),
    bytes: bytesOf,
    work: (env, local) => serveAlliance({ ...env, local: async () => local }),
    codes: { 'no-wallet': 'no-wallet', 'local-data': 'bad-dataset' },
  };
  return servePot(server, service, event, isNamed);
}
