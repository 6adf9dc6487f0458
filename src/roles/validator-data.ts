import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { grantHash, type EvalGrant, type RoundGrant, type ShardGrant, type UpdateGrant } from '../protocol/grant.js';
import type { EventOf } from '../protocol/events.js';
import { ciphertextHash, saleKeyHash } from '../protocol/sale.js';
import { openLocator } from '../protocol/locator.js';
import type { JobState, RoundState } from '../market/state.js';
import { openedOnce, type CustomerData } from './customer-data.js';
import { locatedIn, openShard } from './epoch.js';
import type { Received } from './inbox.js';
import { openGrantedShard } from './trainer-grant.js';
import type { ValidatorEnv } from './validator.js';

/** What a validator was given: keys that came by gift wrap, and the data they open. */

type Env = Pick<ValidatorEnv, 'inbox' | 'signer' | 'snapshot'>;

/** The one that the award's hash promises; another one, or another sender, is no grant. */
function evalGrantFor({ inbox, signer }: Env, state: JobState): EvalGrant | undefined {
  const seat = state.validators.find(({ validator }) => validator === signer.pubkey);
  return inbox
    .evalGrants(state.jobId)
    .find(({ from, content }) => from === state.job!.author && grantHash(content) === seat?.grant)?.grant;
}

function shardGrantFor({ inbox }: Env, state: JobState, shard: number): ShardGrant | undefined {
  return inbox.shardGrants(state.jobId).find(({ from, grant }) => from === state.job!.author && grant.shard === shard)
    ?.grant;
}

export function updateGrantFor(
  { inbox }: Env,
  state: JobState,
  submission: EventId,
): Received<UpdateGrant> | undefined {
  const grants = inbox.updateGrants(state.jobId).filter(({ grant }) => grant.submission === submission);
  if (state.job!.content.rail !== 'key-sale') return grants.find(({ from }) => from === state.job!.author);
  const reveal = state.rounds
    .flatMap(({ listedReveals }) => [...listedReveals.values()])
    .find(({ id }) => id === submission);
  return grants.find(({ from, grant }) => from === reveal?.author && isOffered(reveal, grant));
}

/** The very key and bytes that the trainer signed that it sells. */
function isOffered({ content }: EventOf<'reveal'>, { update }: UpdateGrant): boolean {
  const { sale } = content;
  if (sale === undefined || update === null) return false;
  return saleKeyHash(update.key) === sale.key && ciphertextHash(update.pointer) === sale.ciphertext;
}

export interface ValidatorGrants {
  readonly eval: EvalGrant;
  readonly round: RoundGrant;
  /** Of the job. */
  readonly seed: Uint8Array;
}

/** Undefined while one of them has not come. */
export function grantsOf(env: Env, state: JobState, round: RoundState): ValidatorGrants | undefined {
  const evaluation = evalGrantFor(env, state);
  const key = env.inbox
    .roundGrants(state.jobId)
    .find(({ from, grant }) => from === state.job!.author && grant.round === round.round)?.grant;
  const shards = env.snapshot.manifest.shards.map((_, shard) => shardGrantFor(env, state, shard));
  if (evaluation === undefined || key === undefined || shards.some((grant) => grant === undefined)) return undefined;
  return { eval: evaluation, round: key, seed: shards[0]!.seed };
}

/** Opened when first needed and kept in memory. Set B stays with the customer. */
export function grantedData(env: ValidatorEnv, state: JobState): CustomerData {
  return (env.data.opened ??= openedOnce(env.snapshot, (part, shard) => {
    if (part === 'train') return openGrantedShard(env, state, shardGrantFor(env, state, shard)!);
    if (part === 'a') return openSetA(env, state);
    throw new NmktError('not-ready', 'evaluation set B is not given to validators', { remedy: 'nothing' });
  }));
}

function openSetA({ evalA, relays, signal, ...env }: ValidatorEnv, state: JobState) {
  const { locator, blind, key } = evalGrantFor(env, state)!;
  const { manifest } = evalA;
  return openShard(relays, manifest, locatedIn(openLocator(locator, blind, manifest.locator), 0), 0, key, { signal });
}
