import { isNmktError, NmktError } from '../../errors.js';
import { sha256Hex, type Bytes, type Pubkey, type Sha256 } from '../../hash.js';
import { combine, ruleFor } from '../../learning/aggregate/rule.js';
import { initialParams, paramsHash, parameterShapes } from '../../learning/params.js';
import { decodeParams, encodeParams } from '../../learning/safetensors.js';
import { initialisationSeed } from '../../learning/seeds.js';
import type { ParamSet } from '../../learning/types.js';
import { baseHashOf, type AllianceRoundState, type AllianceState } from '../../market/alliance/state.js';
import type { AllianceTerms } from '../../protocol/alliance/job.js';
import { proposalKey } from '../../protocol/alliance/proposal.js';
import type { EventOf } from '../../protocol/events.js';
import type { Relays } from '../../ports.js';
import type { JobFiles } from '../customer-env.js';
import { isUnproven } from '../missing.js';
import { isOwnTrouble } from '../patience.js';
import { fetchParams } from '../round-blobs.js';

/** Global models of an alliance: kept in the home by their hash, else computed from the proposals that their voters named. */

export interface ModelEnv {
  readonly relays: Relays;
  readonly files: JobFiles;
  readonly signal: AbortSignal;
  /** Unix seconds. */
  readonly nowSec: number;
  /** The group's key. */
  readonly group: Bytes;
}

export const proposalLabel = (job: string, round: number, proposer: Pubkey) => `proposal/${job}/${round}/${proposer}`;
const fileOf = (hash: Sha256) => `model-${hash}.safetensors`;

export async function keepModel({ files }: Pick<ModelEnv, 'files'>, params: ParamSet): Promise<Sha256> {
  const bytes = encodeParams(params);
  const hash = sha256Hex(bytes);
  await files.write(fileOf(hash), bytes);
  return hash;
}

/** The job's rule on what opened, in order of the proposers' keys; all weigh alike. Of nothing: the model before. */
export function aggregateOf(
  { aggregation, attackers }: Pick<AllianceTerms, 'aggregation' | 'attackers'>,
  base: ParamSet,
  opened: ReadonlyMap<Pubkey, ParamSet>,
): ParamSet {
  if (opened.size === 0) return base;
  const updates = [...opened].map(([trainer, params]) => ({ trainer, shard: 0, examples: 1, params }));
  return combine(ruleFor(aggregation, attackers, updates.length), base, updates);
}

/** @throws NmktError when it does not open, or is no model of the job */
function openProposal(env: ModelEnv, { jobId, job }: AllianceState, { author, content }: EventOf<'proposal'>) {
  const { round, pointer, inline } = content;
  const key = proposalKey(env.group, round, author);
  const place = { pointer, inline, key, label: proposalLabel(jobId, round, author) };
  return fetchParams(env.relays, place, job.content.model, env.signal);
}

/** Those of the listed proposals that open. @throws NmktError where relays could not be asked, or the own home fails */
export async function gatherProposals(
  env: ModelEnv,
  state: AllianceState,
  { proposals }: Pick<AllianceRoundState, 'proposals'>,
): Promise<ReadonlyMap<Pubkey, ParamSet>> {
  const opened = new Map<Pubkey, ParamSet>();
  for (const [proposer, proposal] of proposals!.by)
    try {
      opened.set(proposer, await openProposal(env, state, proposal));
    } catch (error) {
      if (isOwnTrouble(error) || !isNmktError(error)) throw error;
      if (isUnproven(error, env.nowSec - proposals!.list.createdAt)) throw error;
    }
  return opened;
}

/** The model that a round starts from. @throws NmktError `hash-mismatch` where nobody's proposals give it any more */
export function baseOf(env: ModelEnv, state: AllianceState, round: number): Promise<ParamSet> {
  return modelOf(env, state, baseHashOf(state, round));
}

/** @param hash  null: the initial one */
export async function modelOf(env: ModelEnv, state: AllianceState, hash: Sha256 | null): Promise<ParamSet> {
  const { model, seed } = state.job.content;
  if (hash === null) return initialParams(model, initialisationSeed(seed));
  const kept = await env.files.read(fileOf(hash));
  if (kept !== undefined && sha256Hex(kept) === hash) return decodeParams(kept, parameterShapes(model));
  const round = state.rounds.find(({ tally }) => tally?.isAccepted === true && tally.aggregate === hash)!;
  const params = await aggregateAgain(env, state, round, hash);
  await keepModel(env, params);
  return params;
}

/** From what one of the voters of the aggregate says that it is made of. */
async function aggregateAgain(
  env: ModelEnv,
  state: AllianceState,
  round: AllianceRoundState,
  hash: Sha256,
): Promise<ParamSet> {
  const base = await baseOf(env, state, round.round);
  const opened = await gatherProposals(env, state, round);
  const words = [...round.votes!.by.values()].filter(({ content }) => content.aggregate === hash);
  for (const ids of new Map(words.map(({ content }) => [content.proposals.join(), content.proposals])).values()) {
    const named = [...round.proposals!.by].filter(([, { id }]) => ids.includes(id)).map(([proposer]) => proposer);
    if (named.some((proposer) => !opened.has(proposer))) continue;
    const params = aggregateOf(state.job.content, base, new Map(named.map((key) => [key, opened.get(key)!])));
    if (paramsHash(params) === hash) return params;
  }
  throw new NmktError('hash-mismatch', `the model of round ${round.round + 1} cannot be computed again`, {
    expected: `proposals that make ${hash}`,
    got: `${opened.size} of ${round.proposals!.by.size} proposals opened`,
    remedy: 'try again when all relays of the job answer, or with the home of a member that voted',
  });
}
