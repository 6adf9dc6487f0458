import type { EventId, Pubkey } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { buildChains, type Chain, type Fork } from '../chain.js';
import { broken } from '../draft.js';
import { afterTable, NO_STAKES, rowsOf, type StakeEvent } from '../stake.js';
import { takeRefusal } from '../receipt-rules.js';
import type { Violation } from '../state.js';
import { settledByOthers } from './lapse.js';
import { applyArenaList, applyArenaSeen } from './list-rules.js';
import { applyArenaReceipt, arenaPayouts } from './money-rules.js';
import { applyAliasTable, applyArenaSettlement, applyRanking } from './rank-rules.js';
import { applyScoreList } from './score-rules.js';
import { applyAliasRoot, applyArenaDraw } from './seat-rules.js';
import { atHand, currentStage, isStop, type ArenaPhase, type ArenaState, type Step } from './state.js';

export interface FoldedArena {
  readonly jobId: EventId;
  /** Null: not at hand. */
  readonly job: EventOf<'arena-job'> | null;
  /** By author. */
  readonly chains: ReadonlyMap<Pubkey, Chain>;
  readonly phase: ArenaPhase;
  /** As far as the rules held; null: the job is not at hand. */
  readonly state: ArenaState | null;
  /** The first event of the customer that breaks a rule: nothing after it counts. */
  readonly firstBad: Violation | null;
  readonly forks: readonly Fork[];
  /** Needed, and not at hand. */
  readonly missing: readonly EventId[];
}

/**
 * The state of an arena: a pure function of its events, whatever their order and however often they came. The customer's chain is the
 * spine, as in `foldJob`; phases are those of the spine.
 *
 * @param events  parsed and signature-checked; events of other jobs are ignored
 */
export function foldArena(jobId: EventId, events: Iterable<JobEvent>): FoldedArena {
  const byId = new Map([...events].filter(({ job }) => job === jobId).map((event) => [event.id, event]));
  const job = byId.get(jobId);
  const chains = buildChains(byId.values());
  const forks = [...chains.values()].flatMap(({ fork }) => (fork === null ? [] : [fork]));
  const known = { jobId, chains, forks };
  if (job?.type !== 'arena-job')
    return { ...known, job: null, phase: 'unknown', state: null, firstBad: null, missing: [jobId] };
  const sound = new Map<Pubkey, readonly JobEvent[]>(
    [...chains.values()].filter(({ author }) => author !== job.author).map((chain) => [chain.author, chain.events]),
  );
  let state: ArenaState = {
    ...{ jobId, job, byId, sound, stages: [], seen: new Map(), interval: 0, seenScoring: new Set() },
    ...{ missed: new Map(), stakes: NO_STAKES, cancelled: null, receipts: new Map(), refusedClaims: new Map() },
  };
  const spine = chains.get(job.author)!;
  const stopped = (rest: Partial<FoldedArena>): FoldedArena => ({
    ...{ ...known, job, phase: phaseOf(state), state: withOthers(state), firstBad: null, missing: [], ...rest },
  });
  for (const event of spine.events.slice(1)) {
    const next = apply(state, event);
    if ('lacks' in next) return stopped({ phase: 'incomplete', missing: [...next.lacks].sort() });
    if (isStop(next)) return stopped({ phase: 'frozen', firstBad: { event: event.id, author: event.author, ...next } });
    state = next;
  }
  const end = endOf(spine);
  if (end !== null) return stopped({ phase: 'frozen', firstBad: { author: job.author, ...end } });
  const before = spine.gapBefore === null ? null : byId.get(spine.gapBefore)!.prev;
  return stopped({ missing: before === null ? [] : [before] });
}

/** Nothing in the customer's chain follows from what others settled: it says the same when it comes back. */
function withOthers(state: ArenaState): ArenaState {
  const payoutsOf = arenaPayouts(state);
  return {
    ...state,
    stages: state.stages.map((stage) => {
      const settled = { ...stage, others: settledByOthers(state, stage) };
      return { ...settled, payouts: payoutsOf(settled) };
    }),
  };
}

function endOf({ fork, broken: unlinked }: Chain): Omit<Violation, 'author'> | null {
  if (fork !== null)
    return { event: fork.ids[0]!, ...broken('fork', `two events with seq ${fork.seq}: ${fork.ids.join(' and ')}`) };
  return unlinked === null ? null : { event: unlinked, ...broken('chain', 'prev does not name the event before') };
}

function apply(state: ArenaState, event: JobEvent): Step<ArenaState> {
  const hasEnded = state.cancelled !== null || phaseOf(state) === 'finished';
  switch (event.type) {
    case 'receipt':
      return applyArenaReceipt(state, event);
    case 'claim-bad':
      return takeRefusal(state, event);
    case 'stake-table':
      return applyTable(state, event);
    case 'cancel':
      return hasEnded || isOwed(state)
        ? broken('cancel', 'what was listed is ranked and paid first')
        : { ...state, cancelled: event };
    default:
      return hasEnded ? broken('after-end', `a ${event.type} after the job ended`) : applyStage(state, event);
  }
}

function applyStage(state: ArenaState, event: JobEvent): Step<ArenaState> {
  switch (event.type) {
    case 'arena-seen':
      return applyArenaSeen(state, event);
    case 'arena-list':
      return applyArenaList(state, event);
    case 'alias-root':
      return applyAliasRoot(state, event);
    case 'seen':
      return { ...state, seenScoring: new Set([...state.seenScoring, ...event.content.ids]) };
    case 'draw':
      return applyArenaDraw(state, event);
    case 'list':
      return applyScoreList(state, event);
    case 'alias-table':
      return applyAliasTable(state, event);
    case 'ranking':
      return applyRanking(state, event);
    case 'arena-settlement':
      return applyArenaSettlement(state, event);
    default:
      return broken('event', `a customer of an arena publishes no ${event.type}`);
  }
}

/** Does a stage wait for its settlement? */
const isOwed = (state: ArenaState): boolean => currentStage(state)?.settlement === null;

/** Rows follow from the events that this table and those before it name. Nobody is slashed in an arena yet. */
function applyTable(state: ArenaState, { content }: EventOf<'stake-table'>): Step<ArenaState> {
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

function phaseOf(state: ArenaState): ArenaPhase {
  if (state.cancelled !== null) return 'cancelled';
  const stage = currentStage(state);
  if (stage === undefined) return 'submitting';
  if (stage.settlement !== null) return stage.stage === 1 ? 'finished' : 'submitting';
  if (stage.ranking !== null) return 'ranked';
  if (stage.table !== null) return 'scored';
  return stage.root === null ? 'listed' : 'scoring';
}
