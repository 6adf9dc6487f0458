import type { EventId } from '../hash.js';
import type { Violation } from '../market/state.js';
import type { Finding } from './audit-format.js';

/** What the fold of an arena or an alliance found by itself: the job, a rule of the customer that is broken, what is not at hand. */
export function auditFolded(folded: {
  readonly jobId: EventId;
  readonly state: object | null;
  readonly firstBad: Violation | null;
  readonly missing: readonly EventId[];
}): Finding | null {
  const { jobId, state, firstBad, missing } = folded;
  if (state === null) return { event: jobId, rule: 'missing', detail: 'the job event is not at hand' };
  if (firstBad !== null) return { event: firstBad.event, rule: firstBad.rule, detail: firstBad.detail };
  const [lacking] = missing;
  return lacking === undefined
    ? null
    : { event: lacking, rule: 'missing', detail: 'an event that others cite is on no relay that answered' };
}
