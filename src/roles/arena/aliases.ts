import { z } from 'zod';
import { isNmktError } from '../../errors.js';
import { fromHex, hkdfExpand32, sha256Hex, u32be, type Bytes, type EventId, type Sha256 } from '../../hash.js';
import type { ArenaStage, ArenaState } from '../../market/arena/state.js';
import type { AliasEntry } from '../../protocol/arena/alias.js';
import { modelCommitment, parseSealedModel } from '../../protocol/arena/submission.js';
import type { EventOf } from '../../protocol/events.js';
import { parseJson } from '../../protocol/json.js';
import { blobPointer } from '../../protocol/pointer.js';
import { bytes32, eventId, sha256Hex as hash } from '../../protocol/scalars.js';
import { isUnproven } from '../missing.js';
import { isOwnTrouble } from '../patience.js';
import { fetchBytes } from '../round-blobs.js';
import type { ArenaCustomerEnv } from './env.js';
import { modelLabel } from './model-file.js';

/** Who is which alias in a stage: opened once, kept before its root is signed, so that a restart tells the same. */

const keptAliases = z.array(
  z.object({
    submission: eventId,
    model: hash.nullable(),
    salt: bytes32.nullable(),
    blob: z.object({ key: bytes32, pointer: blobPointer }).nullable(),
  }),
);
export type Alias = z.output<typeof keptAliases>[number];

const aliasesFile = (list: EventId) => `aliases-${list}.json`;
/** Of a model that was opened. */
export const modelFileName = (model: Sha256) => `arena-model-${model}.bin`;

/** Of the aliases of a stage; the root signs it, the table opens it. */
export function aliasSalt({ secrets }: Pick<ArenaCustomerEnv, 'secrets'>, stage: number): Bytes {
  return hkdfExpand32(fromHex(secrets.blobs), 'nmkt/1/aliases', u32be(stage));
}

export const entriesOf = (aliases: readonly Alias[]): AliasEntry[] =>
  aliases.map(({ submission, model, salt }) => ({ submission, model, salt }));

/** Undefined: this home has not opened the stage. */
export async function readAliases(
  env: Pick<ArenaCustomerEnv, 'files'>,
  list: EventId,
): Promise<readonly Alias[] | undefined> {
  const file = await env.files.read(aliasesFile(list));
  if (file === undefined) return undefined;
  return z.decode(keptAliases, parseJson(Buffer.from(file).toString()) as z.input<typeof keptAliases>);
}

/** Opens every submission of the stage, in an order that nobody else can tell. What does not open is nobody's error but its trainer's. */
export async function openAliases(
  env: ArenaCustomerEnv,
  state: ArenaState,
  stage: ArenaStage,
): Promise<readonly Alias[]> {
  const known = await readAliases(env, stage.list.id);
  if (known !== undefined) return known;
  const order = hkdfExpand32(fromHex(env.secrets.blobs), 'nmkt/1/alias-order', u32be(stage.stage));
  const place = ({ id }: EventOf<'submit'>) => sha256Hex(order, fromHex(id));
  const sorted = [...stage.submissions.values()].sort((a, b) => (place(a) < place(b) ? -1 : 1));
  const aliases: Alias[] = [];
  for (const [at, submission] of sorted.entries()) {
    env.progress.update(`opening submission ${at + 1} of ${sorted.length}`);
    aliases.push(await openSubmission(env, state, stage, submission));
  }
  await env.files.write(aliasesFile(stage.list.id), Buffer.from(JSON.stringify(z.encode(keptAliases, aliases))));
  return aliases;
}

async function openSubmission(
  env: ArenaCustomerEnv,
  { jobId, job }: ArenaState,
  { stage, list }: ArenaStage,
  submission: EventOf<'submit'>,
): Promise<Alias> {
  const { id, author: trainer, content } = submission;
  try {
    const { key, salt, pointer } = parseSealedModel(await env.signer.decrypt(trainer, content.sealed));
    const label = modelLabel(jobId, stage);
    const file = await fetchBytes(env.relays, { key, pointer, label }, job.content.arena.maxModelBytes, env.signal);
    const model = sha256Hex(file);
    if (modelCommitment({ job: jobId, stage, trainer, model, salt }) !== content.commitment)
      throw new RangeError(`its file hashes to ${model.slice(0, 16)}, which is not what it committed to`);
    await env.files.write(modelFileName(model), file);
    return { submission: id, model, salt, blob: { key, pointer } };
  } catch (error) {
    if (isOwnTrouble(error) || isUnproven(error, env.clock.nowSec() - list.createdAt)) throw error;
    const why = isNmktError(error, 'relay-unreachable') ? 'no relay has all of it' : (error as Error).message;
    env.progress.warn(`the submission of ${trainer.slice(0, 12)}… does not open and has no rank: ${why.slice(0, 200)}`);
    return { submission: id, model: null, salt: null, blob: null };
  }
}
