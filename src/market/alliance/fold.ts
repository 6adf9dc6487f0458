import type { EventId, Pubkey } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import type { Chain, Fork } from '../chain.js';
import { NOTHING_CARRIED } from '../carry.js';
import { broken } from '../draft.js';
import { NO_STAKES } from '../stake.js';
import { takeRefusal } from '../receipt-rules.js';
import type { Violation } from '../state.js';
import { applyAllianceList } from './list-rules.js';
import { proveIn } from './lost-votes.js';
import { applyAllianceReceipt, withMoney } from './money-rules.js';
import { applyOpen, applyRoles } from './open-rules.js';
import { applyAllianceSettlement } from './settle-rules.js';
import { endOf, lastRound, phaseOf, withRound, type AlliancePhase, type AllianceState } from './state.js';
import { applyStakeTable, followSpine, isStop, knownOf, soundChains, type Step } from '../spine.js';

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
  const known = knownOf(jobId, events);
  const { byId, chains, forks } = known;
  const job = byId.get(jobId);
  const found = { jobId, chains, forks };
  if (job?.type !== 'alliance-job')
    return { ...found, job: null, phase: 'unknown', state: null, firstBad: null, missing: [jobId] };
  const sound = soundChains(known, job.author);
  const first: AllianceState = {
    ...{ jobId, job, byId, sound, rounds: [], seen: new Set(), paidMsat: 0n, stakes: NO_STAKES, cancelled: null },
    carried: NOTHING_CARRIED,
    ...{ receipts: new Map(), refusedClaims: new Map() },
  };
  const { state, halt, firstBad, missing } = followSpine(known, job.author, first, apply);
  return { ...found, job, phase: halt ?? phaseOf(state), state: withMoney(state), firstBad, missing };
}

function apply(state: AllianceState, event: JobEvent): Step<AllianceState> {
  const hasEnded = state.cancelled !== null || phaseOf(state) === 'finished';
  switch (event.type) {
    case 'receipt':
      return applyAllianceReceipt(state, event);
    case 'claim-bad':
      return takeRefusal(state, event);
    case 'stake-table':
      return withSlashes(applyStakeTable(state, event, proveIn(state)));
    case 'cancel':
      return hasEnded || lastRound(state)?.settlement === null
        ? broken('cancel', 'a round that is open is settled first')
        : { ...state, cancelled: event };
    default:
      return hasEnded ? broken('after-end', `a ${event.type} after the job ended`) : applyRound(state, event);
  }
}

/** What was slashed before a round ended is told in it. */
function withSlashes(step: Step<AllianceState>): Step<AllianceState> {
  if (isStop(step)) return step;
  const round = lastRound(step);
  return round === undefined || endOf(round) !== null ? step : withRound(step, { slashes: step.stakes.slashes });
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
