import type { EventId, Pubkey } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { buildChains, type Chain, type Fork } from './chain.js';
import { broken, type Broken } from './draft.js';
import { afterTable, rowsOf, type Prove, type StakeBook, type StakeEvent } from './stake.js';
import type { Violation } from './state.js';

/** Jobs whose customer's chain is the spine: every rule takes a state and its next event, and gives the next state. */

/** Needed, and not at hand: nothing after it can be told. */
export interface Lacking {
  readonly lacks: readonly EventId[];
}
export type Step<T> = T | Broken | Lacking;

export function isStop<T extends object>(step: Step<T>): step is Broken | Lacking {
  return 'detail' in step || 'lacks' in step;
}

/**
 * Events by id.
 *
 * @returns  in the order of the ids, or which of them are not at hand
 */
export function atHand(
  { byId }: { readonly byId: ReadonlyMap<EventId, JobEvent> },
  ids: readonly EventId[],
): readonly JobEvent[] | Lacking {
  const found = ids.map((id) => byId.get(id));
  const lacks = ids.filter((_, i) => found[i] === undefined);
  return lacks.length > 0 ? { lacks } : (found as JobEvent[]);
}

export interface Known {
  readonly byId: ReadonlyMap<EventId, JobEvent>;
  /** By author. */
  readonly chains: ReadonlyMap<Pubkey, Chain>;
  readonly forks: readonly Fork[];
}

/** @param events  of any jobs, in any order, also several times */
export function knownOf(jobId: EventId, events: Iterable<JobEvent>): Known {
  const byId = new Map([...events].filter(({ job }) => job === jobId).map((event) => [event.id, event]));
  const chains = buildChains(byId.values());
  return { byId, chains, forks: [...chains.values()].flatMap(({ fork }) => (fork === null ? [] : [fork])) };
}

/** Events of everybody but the customer that stand in a chain, by author. */
export function soundChains({ chains }: Known, customer: Pubkey): ReadonlyMap<Pubkey, readonly JobEvent[]> {
  return new Map(
    [...chains.values()].filter(({ author }) => author !== customer).map((chain) => [chain.author, chain.events]),
  );
}

export interface Followed<S> {
  /** As far as the rules held. */
  readonly state: S;
  /** Why it ends before the chain does. */
  readonly halt: 'frozen' | 'incomplete' | null;
  /** The first event of the customer that breaks a rule: nothing after it counts. */
  readonly firstBad: Violation | null;
  /** Needed, and not at hand. */
  readonly missing: readonly EventId[];
}

/** @param first  after the job event */
export function followSpine<S extends object>(
  { byId, chains }: Known,
  customer: Pubkey,
  first: S,
  apply: (state: S, event: JobEvent) => Step<S>,
): Followed<S> {
  const spine = chains.get(customer)!;
  let state = first;
  for (const event of spine.events.slice(1)) {
    const next = apply(state, event);
    if (!isStop(next)) state = next;
    else if ('lacks' in next) return { state, halt: 'incomplete', firstBad: null, missing: [...next.lacks].sort() };
    else return { state, halt: 'frozen', firstBad: { event: event.id, author: customer, ...next }, missing: [] };
  }
  const end = endOf(spine);
  if (end !== null) return { state, halt: 'frozen', firstBad: { author: customer, ...end }, missing: [] };
  const before = spine.gapBefore === null ? null : byId.get(spine.gapBefore)!.prev;
  return { state, halt: null, firstBad: null, missing: before === null ? [] : [before] };
}

function endOf({ fork, broken: unlinked }: Chain): Omit<Violation, 'author'> | null {
  if (fork !== null)
    return { event: fork.ids[0]!, ...broken('fork', `two events with seq ${fork.seq}: ${fork.ids.join(' and ')}`) };
  return unlinked === null ? null : { event: unlinked, ...broken('chain', 'prev does not name the event before') };
}

/**
 * Rows follow from the events that this table and those before it name.
 *
 * @param prove  absent: nobody is slashed in jobs of this kind
 */
export function applyStakeTable<S extends { readonly byId: Known['byId']; readonly stakes: StakeBook }>(
  state: S,
  { content }: EventOf<'stake-table'>,
  prove?: Prove,
): Step<S> {
  const named = atHand(state, content.events);
  if (isStop(named)) return named;
  const stakes = named.filter((one): one is StakeEvent =>
    ['stake', 'delegate', 'withdraw', 'slash'].includes(one.type),
  );
  if (new Set(content.events).size !== stakes.length)
    return broken('stake-table', 'an event stands twice, or is no stake, delegation or withdrawal');
  const cited = stakes.flatMap((one) => (one.type === 'slash' && prove !== undefined ? one.content.evidence : []));
  const evidence = atHand(state, cited);
  if (isStop(evidence)) return evidence;
  const next = afterTable(state.stakes, content.interval, stakes, prove, true);
  if (typeof next === 'string') return broken('stake-table', next);
  const spell = (rows: EventOf<'stake-table'>['content']['rows']) =>
    rows.map((row) => [row.operator, row.role, row.ownMsat, row.delegatedMsat, row.sigmaPpm].join(':')).join(' ');
  if (spell(rowsOf(next)) !== spell(content.rows))
    return broken('stake-table', 'its rows do not follow from its events');
  return { ...state, stakes: next };
}
