import type { EventId, Pubkey } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import type { Chain, Fork } from '../chain.js';
import { broken } from '../draft.js';
import { NO_STAKES } from '../stake.js';
import { takeRefusal } from '../receipt-rules.js';
import type { Violation } from '../state.js';
import { settledByOthers } from './lapse.js';
import { applyArenaList, applyArenaSeen } from './list-rules.js';
import { applyArenaReceipt, arenaPayouts } from './money-rules.js';
import { applyAliasTable, applyArenaSettlement, applyRanking } from './rank-rules.js';
import { applyScoreList } from './score-rules.js';
import { applyAliasRoot, applyArenaDraw } from './seat-rules.js';
import { currentStage, type ArenaPhase, type ArenaState } from './state.js';
import { applyStakeTable, followSpine, knownOf, soundChains, type Step } from '../spine.js';

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
  const known = knownOf(jobId, events);
  const { byId, chains, forks } = known;
  const job = byId.get(jobId);
  const found = { jobId, chains, forks };
  if (job?.type !== 'arena-job')
    return { ...found, job: null, phase: 'unknown', state: null, firstBad: null, missing: [jobId] };
  const sound = soundChains(known, job.author);
  const first: ArenaState = {
    ...{ jobId, job, byId, sound, stages: [], seen: new Map(), interval: 0, seenScoring: new Set() },
    ...{ missed: new Map(), stakes: NO_STAKES, cancelled: null, receipts: new Map(), refusedClaims: new Map() },
  };
  const { state, halt, firstBad, missing } = followSpine(known, job.author, first, apply);
  return { ...found, job, phase: halt ?? phaseOf(state), state: withOthers(state), firstBad, missing };
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

function apply(state: ArenaState, event: JobEvent): Step<ArenaState> {
  const hasEnded = state.cancelled !== null || phaseOf(state) === 'finished';
  switch (event.type) {
    case 'receipt':
      return applyArenaReceipt(state, event);
    case 'claim-bad':
      return takeRefusal(state, event);
    case 'stake-table':
      return applyStakeTable(state, event);
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

function phaseOf(state: ArenaState): ArenaPhase {
  if (state.cancelled !== null) return 'cancelled';
  const stage = currentStage(state);
  if (stage === undefined) return 'submitting';
  if (stage.settlement !== null) return stage.stage === 1 ? 'finished' : 'submitting';
  if (stage.ranking !== null) return 'ranked';
  if (stage.table !== null) return 'scored';
  return stage.root === null ? 'listed' : 'scoring';
}
