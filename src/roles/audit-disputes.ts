import { describeDisputes, disputeText } from '../market/describe-disputes.js';
import type { JobState } from '../market/state.js';
import type { Finding } from './audit-format.js';

/**
 * A customer whose proof drawn validators found false and that did not settle what it had rejected, or that let no validator repeat the segment: twice the time that the job gives to
 * each step, since its relays may have been slow.
 */
export function auditDisputes(state: JobState, nowSec: number): Finding | null {
  const terms = state.job?.content.disputes;
  if (terms === undefined) return null;
  for (const one of describeDisputes(state)) {
    const { fraud, complaint, trainer, segment, round } = one;
    const what = `segment ${segment} of round ${round + 1} of ${trainer}: ${disputeText(one)}`;
    if (one.right === 'trainer' && !one.isSettled) return { event: fraud, rule: 'fraud', detail: what };
    const since =
      one.state === 'unheard'
        ? state.chains.get(trainer)?.events.find(({ id }) => id === complaint)?.createdAt
        : one.state === 'listed'
          ? state.disputes.find((dispute) => dispute.fraud.id === fraud)?.opened.createdAt
          : undefined;
    if (since !== undefined && nowSec > since + 2 * terms.withinSec)
      return { event: complaint, rule: one.state === 'unheard' ? 'unheard' : 'undrawn', detail: what };
  }
  return null;
}
