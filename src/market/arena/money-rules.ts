import type { EventId } from '../../hash.js';
import type { ArenaPlanLine } from '../../protocol/arena/ranking.js';
import type { EventOf } from '../../protocol/events.js';
import { indexEvents } from '../event-index.js';
import { owedByCancel } from '../carry.js';
import { payoutReader } from '../payouts.js';
import { takeReceipt } from '../receipt-rules.js';
import { settledByOthers, settlementsOf } from './lapse.js';
import { carriedIn } from './rank-rules.js';
import type { ArenaPayout, ArenaStage, ArenaState } from './state.js';
import type { Step } from '../spine.js';

/** What is paid of the settlements of an arena: the same claims, receipts and refusals as of a federated job. */

/** The stage that a settlement pays; it may be a participant's that says the same as the customer's would. */
function settledStage(state: ArenaState, id: EventId): ArenaStage | undefined {
  return (
    state.stages.find(({ settlement }) => settlement?.id === id) ??
    state.stages.find((stage) => settledByOthers(state, stage).some((settlement) => settlement.id === id))
  );
}

type Line = Pick<ArenaPlanLine, 'payee' | 'amountMsat'>;

function lineOf(state: ArenaState, { settlement, payout }: EventOf<'receipt'>['content']): Line | undefined {
  if (settlement === state.cancelled?.id) return cancelLines(state).find((line) => line.payout === payout);
  const promised = state.byId.get(settlement);
  if (promised?.type !== 'arena-settlement' || settledStage(state, settlement) === undefined) return undefined;
  return promised.content.plan.find((line) => line.payout === payout && line.purpose !== 'refund');
}

/** An arena is cancelled before its final stage, or not at all. */
function cancelLines(state: ArenaState): ReturnType<typeof owedByCancel> {
  return owedByCancel(state.jobId, 0, carriedIn(state));
}

export function applyArenaReceipt(state: ArenaState, event: EventOf<'receipt'>): Step<ArenaState> {
  return takeReceipt(state, event, lineOf(state, event.content));
}

/** What each stage owes, in the order of its plan; stages that nobody settled owe nothing yet. A cancelled one also owes what waited. */
export function arenaPayouts(state: ArenaState): (stage: ArenaStage) => readonly ArenaPayout[] {
  const payoutOf = payoutReader<ArenaPayout['settlement']>({ ...state, index: indexEvents(state.sound) });
  const { cancelled } = state;
  const left = cancelled === null ? [] : cancelLines(state);
  return (stage) => {
    const settlements = settlementsOf(stage);
    const payouts = (settlements[0]?.content.plan ?? []).flatMap((line): ArenaPayout[] => {
      const { purpose } = line;
      if (purpose === 'refund') return [];
      return [payoutOf(settlements, { ...line, purpose }, state.receipts.get(line.payout) ?? null)];
    });
    const owed = stage.stage > 0 ? [] : left;
    return [...payouts, ...owed.map((line) => payoutOf([cancelled!], line, state.receipts.get(line.payout) ?? null))];
  };
}
