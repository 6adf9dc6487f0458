import type { EventId, Pubkey } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { buildChains, type Chain, type Fork } from '../chain.js';
import { broken } from '../draft.js';
import { afterTable, NO_STAKES, rowsOf, type StakeEvent } from '../stake.js';
import { takeRefusal } from '../receipt-rules.js';
import type { Violation } from '../state.js';
import { applyAllianceList } from './list-rules.js';
import { applyAllianceReceipt, withMoney } from './money-rules.js';
import { applyOpen, applyRoles } from './open-rules.js';
import { applyAllianceSettlement } from './settle-rules.js';
import { atHand, isStop, lastRound, phaseOf, type AlliancePhase, type AllianceState, type Step } from './state.js';

export interface FoldedAlliance {
  readonly jobId: EventId;
  /** Null: not at hand. */
  readonly job: EventOf<'alliance-job'> | null;
  /** By author. */
  readonly chains: ReadonlyMap<Pubkey, Chain>;
  readonly phase: AlliancePhase;
  /** As far as the rules held; null: the job is not at hand. */
  readonly state: AllianceState | null;
  /** The first event of the customer that breaks a rule: nothing after it counts. */
  readonly firstBad: Violation | null;
  readonly forks: readonly Fork[];
  /** Needed, and not at hand. */
  readonly missing: readonly EventId[];
}

/**
 * The state of an alliance: a pure function of its events, whatever their order and however often they came. The customer's chain is the
 * spine, as in `foldJob`.
 *
 * @param events  parsed and signature-checked; events of other jobs are ignored
 */
export function foldAlliance(jobId: EventId, events: Iterable<JobEvent>): FoldedAlliance {
  const byId = new Map([...events].filter(({ job }) => job === jobId).map((event) => [event.id, event]));
  const job = byId.get(jobId);
  const chains = buildChains(byId.values());
  const forks = [...chains.values()].flatMap(({ fork }) => (fork === null ? [] : [fork]));
  const known = { jobId, chains, forks };
  if (job?.type !== 'alliance-job')
    return { ...known, job: null, phase: 'unknown', state: null, firstBad: null, missing: [jobId] };
  const sound = new Map<Pubkey, readonly JobEvent[]>(
    [...chains.values()].filter(({ author }) => author !== job.author).map((chain) => [chain.author, chain.events]),
  );
  let state: AllianceState = {
    ...{ jobId, job, byId, sound, rounds: [], seen: new Set(), paidMsat: 0n, stakes: NO_STAKES, cancelled: null },
    ...{ receipts: new Map(), refusedClaims: new Map() },
  };
  const spine = chains.get(job.author)!;
  const stopped = (rest: Partial<FoldedAlliance>): FoldedAlliance => ({
    ...{ ...known, job, phase: phaseOf(state), state: withMoney(state), firstBad: null, missing: [], ...rest },
  });
  for (const event of spine.events.slice(1)) {
    const next = apply(state, event);
    if ('lacks' in next) return stopped({ phase: 'incomplete', missing: [...next.lacks].sort() });
    if (isStop(next)) return stopped({ phase: 'frozen', firstBad: { event: event.id, author: event.author, ...next } });
    state = next;
  }
  const end = endOfSpine(spine);
  if (end !== null) return stopped({ phase: 'frozen', firstBad: { author: job.author, ...end } });
  const before = spine.gapBefore === null ? null : byId.get(spine.gapBefore)!.prev;
  return stopped({ missing: before === null ? [] : [before] });
}

function endOfSpine({ fork, broken: unlinked }: Chain): Omit<Violation, 'author'> | null {
  if (fork !== null)
    return { event: fork.ids[0]!, ...broken('fork', `two events with seq ${fork.seq}: ${fork.ids.join(' and ')}`) };
  return unlinked === null ? null : { event: unlinked, ...broken('chain', 'prev does not name the event before') };
}

function apply(state: AllianceState, event: JobEvent): Step<AllianceState> {
  const hasEnded = state.cancelled !== null || phaseOf(state) === 'finished';
  switch (event.type) {
    case 'receipt':
      return applyAllianceReceipt(state, event);
    case 'claim-bad':
      return takeRefusal(state, event);
    case 'stake-table':
      return applyTable(state, event);
    case 'cancel':
      return hasEnded || lastRound(state)?.settlement === null
        ? broken('cancel', 'a round that is open is settled first')
        : { ...state, cancelled: event };
    default:
      return hasEnded ? broken('after-end', `a ${event.type} after the job ended`) : applyRound(state, event);
  }
}

function applyRound(state: AllianceState, event: JobEvent): Step<AllianceState> {
  switch (event.type) {
    case 'alliance-open':
      return applyOpen(state, event);
    case 'seen':
      return { ...state, seen: new Set([...state.seen, ...event.content.ids]) };
    case 'roles':
      return applyRoles(state, event);
    case 'list':
      return applyAllianceList(state, event);
    case 'alliance-settlement':
      return applyAllianceSettlement(state, event);
    default:
      return broken('event', `a customer of an alliance publishes no ${event.type}`);
  }
}

/** Rows follow from the events that this table and those before it name. */
function applyTable(state: AllianceState, { content }: EventOf<'stake-table'>): Step<AllianceState> {
  const named = atHand(state, content.events);
  if (isStop(named)) return named;
  const stakes = named.filter((one): one is StakeEvent =>
    ['stake', 'delegate', 'withdraw', 'slash'].includes(one.type),
  );
  if (new Set(content.events).size !== stakes.length)
    return broken('stake-table', 'an event stands twice, or is no stake, delegation or withdrawal');
  const next = afterTable(state.stakes, content.interval, stakes, undefined, true);
  if (typeof next === 'string') return broken('stake-table', next);
  const spell = (rows: EventOf<'stake-table'>['content']['rows']) =>
    rows.map((row) => [row.operator, row.role, row.ownMsat, row.delegatedMsat, row.sigmaPpm].join(':')).join(' ');
  if (spell(rowsOf(next)) !== spell(content.rows))
    return broken('stake-table', 'its rows do not follow from its events');
  return { ...state, stakes: next };
}
