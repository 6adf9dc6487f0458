import type { EventOf } from '../../protocol/events.js';
import { indexEvents } from '../event-index.js';
import { owedByCancel } from '../carry.js';
import { payoutReader } from '../payouts.js';
import { takeReceipt } from '../receipt-rules.js';
import { settledByMembers, settlementsOf, spentMsat } from './settle-rules.js';
import type { AlliancePayout, AllianceRoundState, AllianceState } from './state.js';
import type { Step } from '../spine.js';

/** What is paid of the settlements of an alliance: the same claims, receipts and refusals as of a federated job. */

/**
 * The round with what members settled of it. What was paid before it is what its settlement did not pay itself.
 */
function withOthers(state: AllianceState, round: AllianceRoundState): AllianceRoundState {
  const paid = state.rounds
    .slice(0, round.round)
    .reduce((sum, { settlement }) => sum + (settlement === null ? 0n : spentMsat(settlement.content)), 0n);
  return { ...round, others: settledByMembers({ ...state, paidMsat: paid }, round) };
}

export function applyAllianceReceipt(state: AllianceState, event: EventOf<'receipt'>): Step<AllianceState> {
  const { settlement, payout } = event.content;
  if (settlement === state.cancelled?.id)
    return takeReceipt(
      state,
      event,
      cancelLines(state).find((one) => one.payout === payout),
    );
  const promised = state.byId.get(settlement);
  const line =
    promised?.type === 'alliance-settlement' && isSettlement(state, promised)
      ? promised.content.plan.find((one) => one.payout === payout && one.purpose !== 'refund')
      : undefined;
  return takeReceipt(state, event, line);
}

function cancelLines(state: AllianceState): ReturnType<typeof owedByCancel> {
  return owedByCancel(state.jobId, state.rounds.length - 1, state.carried);
}

function isSettlement(state: AllianceState, { id, content }: EventOf<'alliance-settlement'>): boolean {
  const round = state.rounds[content.round];
  if (round === undefined) return false;
  return round.settlement?.id === id || withOthers(state, round).others.some((one) => one.id === id);
}

/**
 * With what members settled, and what each round owes in the order of its plan; nothing yet where nobody settled. The last one of a cancelled
 * job also owes what waited.
 */
export function withMoney(state: AllianceState): AllianceState {
  const payoutOf = payoutReader<AlliancePayout['settlement']>({ ...state, index: indexEvents(state.sound) });
  const rounds = state.rounds.map((round): AllianceRoundState => {
    const settled = withOthers(state, round);
    const settlements = settlementsOf(settled);
    const payouts = (settlements[0]?.content.plan ?? []).flatMap((line): AlliancePayout[] => {
      const { purpose } = line;
      if (purpose === 'refund') return [];
      return [payoutOf(settlements, { ...line, purpose }, state.receipts.get(line.payout) ?? null)];
    });
    const { cancelled } = state;
    const isEnd = cancelled !== null && round.round === state.rounds.length - 1;
    const left = isEnd ? cancelLines(state) : [];
    const owed = left.map((line) => payoutOf([cancelled!], line, state.receipts.get(line.payout) ?? null));
    return { ...settled, payouts: [...payouts, ...owed] };
  });
  return { ...state, rounds };
}
