import { fromHex, type Pubkey } from '../hash.js';
import { baseChain } from '../market/base-chain.js';
import { awaitedSeats, hasResigned, type JobState } from '../market/state.js';
import { encodeGrant, type Grant } from '../protocol/grant.js';
import { shardLocators } from '../protocol/locator.js';
import type { NostrEvent } from '../ports.js';
import type { CustomerEnv } from './customer-env.js';
import { ownShardKey } from './epoch.js';
import { findInboxes } from './relay-lists.js';
import { blobSecrets } from './round-blobs.js';

/** Of a job's secrets: the way to one shard among many takes a tree over all. */
const made = new WeakMap<
  CustomerEnv['secrets'],
  { locator(shard: number): string; readonly grants: Map<number, string> }
>();

/** A trainer's key to its shard; the same bytes each time, so that the award can name their hash. */
export function shardGrant(env: CustomerEnv, state: JobState, shard: number): string {
  const known = made.get(env.secrets) ?? {
    locator: shardLocators(env.secrets.train.secrets.locator),
    grants: new Map<number, string>(),
  };
  made.set(env.secrets, known);
  const grant = known.grants.get(shard) ?? makeShardGrant(env, state, shard, known.locator(shard));
  known.grants.set(shard, grant);
  return grant;
}

function makeShardGrant(env: CustomerEnv, state: JobState, shard: number, locator: string): string {
  const { manifest, id } = env.data.train;
  const { secrets } = env.secrets.train;
  return encodeGrant({
    purpose: 'shard',
    job: state.jobId,
    snapshot: id,
    shard,
    key: ownShardKey(manifest, secrets, shard),
    seed: fromHex(env.secrets.seed),
    locator,
    blind: fromHex(secrets.blind),
    notAfter: state.job!.content.deadline,
  });
}

export interface GrantToSend {
  /** One wrap per process and id. */
  readonly id: string;
  readonly to: Pubkey;
  readonly content: string;
}

/** Grants that somebody may still wait for: shards without an answer, the round key of trainers that have not committed. */
export function dueGrants(env: CustomerEnv, state: JobState): readonly GrantToSend[] {
  const due: GrantToSend[] = [];
  for (const seat of state.assignments.values())
    if (seat.ready === null && seat.grantBad === null && !hasResigned(state, seat.trainer))
      due.push({ id: `${seat.award}/${seat.shard}`, to: seat.trainer, content: shardGrant(env, state, seat.shard) });
  const round = state.phase === 'committing' ? state.rounds.at(-1) : undefined;
  const asked = new Set<Pubkey>();
  for (const seat of round === undefined ? [] : awaitedSeats(state, round))
    if (!round!.commits.has(seat.shard) && !asked.has(seat.trainer)) {
      asked.add(seat.trainer);
      due.push({
        id: `${round!.open.id}/${seat.trainer}`,
        to: seat.trainer,
        content: encodeGrant(roundGrant(env, state, round!.round)),
      });
    }
  return due;
}

export function roundGrant(env: CustomerEnv, state: JobState, round: number): Grant {
  const keyOf = (index: number) => blobSecrets(fromHex(env.secrets.blobs), 'base', index).key;
  const before = baseChain(state.rounds.slice(0, round + 1))
    .slice(0, -1)
    .map((earlier) => keyOf(earlier.round))
    .reverse();
  return {
    ...{ purpose: 'round', job: state.jobId, round, key: keyOf(round) },
    ...(before.length > 0 && { before }),
    notAfter: state.job!.content.deadline,
  };
}

/** A grant as it was sent, and the relays that could not be reached with it. */
export interface SentGrant {
  readonly wrapped: NostrEvent;
  readonly lacking: ReadonlySet<string>;
  readonly isOnSome: boolean;
}

type Post = Pick<CustomerEnv, 'relays' | 'allowedRelay' | 'progress'>;

/**
 * Sends each due grant once, to the relays that its recipient names (kind 10050), and where none of those takes it to the job's. A relay
 * of the job that was away gets it when it answers again: the trainer may be started again when only that one is left.
 *
 * @param sent      by grant, of this run; changed
 * @param answered  relays that answered just now
 */
export async function sendEach(
  env: Post,
  grants: readonly GrantToSend[],
  wrap: (content: string, to: string) => Promise<NostrEvent>,
  sent: Map<string, SentGrant>,
  answered: readonly string[] = [],
): Promise<void> {
  const due = grants.flatMap((grant) => {
    const known = sent.get(grant.id);
    const again = known?.isOnSome === true ? answered.filter((relay) => known.lacking.has(relay)) : null;
    return again?.length === 0 ? [] : [{ grant, known, again }];
  });
  const isNew = ({ again }: (typeof due)[number]): boolean => again === null;
  const inboxes = await findInboxes([...new Set(due.filter(isNew).map(({ grant }) => grant.to))], env);
  const letters: Letter[] = [];
  for (const { grant, known, again } of due) {
    const wrapped = known?.wrapped ?? (await wrap(grant.content, grant.to));
    letters.push({ grant, known, wrapped, to: again ?? inboxes.get(grant.to) ?? env.relays.urls });
  }
  // At once: a recipient whose relays are silent costs the others nothing.
  await Promise.all(letters.map(async (letter) => void sent.set(letter.grant.id, await send(env, letter))));
}

interface Letter {
  readonly grant: GrantToSend;
  readonly known: SentGrant | undefined;
  readonly wrapped: NostrEvent;
  readonly to: readonly string[];
}

async function send({ relays, progress }: Post, { grant, known, wrapped, to }: Letter): Promise<SentGrant> {
  let targets = to;
  let outcomes = await relays.publish(wrapped, to);
  const isTaken = (): boolean => outcomes.some(({ state }) => state === 'stored');
  const rest = relays.urls.filter((url) => !to.includes(url));
  if (known?.isOnSome !== true && !isTaken() && rest.length > 0) {
    outcomes = [...outcomes, ...(await relays.publish(wrapped, rest))];
    targets = [...to, ...rest];
  }
  const lacking = new Set(known?.lacking ?? targets);
  for (const { relay, state } of outcomes) if (state !== 'unreachable') lacking.delete(relay);
  const isOnSome = known?.isOnSome === true || isTaken();
  if (!isOnSome && known === undefined)
    progress.warn(`a grant for ${grant.to.slice(0, 12)}… reached no relay; it is sent again until one takes it`);
  return { wrapped, lacking, isOnSome };
}
