import type { EventId } from '../hash.js';
import { foldJob } from '../market/fold.js';
import type { AnyJobState } from '../market/state.js';
import type { NostrEvent } from '../ports.js';
import { parseJobEvent, type JobEvent } from '../protocol/events.js';
import type { Reading } from '../roles/job-book.js';

/** States kept: those of one moment, which many participants look at. */
const MAX_STATES = 16;

/**
 * Reads each event once for all books of the process. They are the same objects, and a state is a pure function of its set of
 * events: books with equal sets get the same state.
 */
export function sharedReading(): Reading;
export function sharedReading<S extends AnyJobState>(fold: Reading<S>['fold']): Reading<S>;
export function sharedReading(fold: Reading<AnyJobState>['fold'] = foldJob): Reading<AnyJobState> {
  const parsed = new WeakMap<NostrEvent, JobEvent>();
  const numbers = new Map<EventId, readonly [number, number]>();
  const states = new Map<string, AnyJobState>();
  /** Equal for equal sets in any order; the ids are hashes, so that others do not meet. */
  const nameOf = (events: readonly JobEvent[]): string => {
    let [high, low] = [0, 0];
    for (const { id } of events) {
      let number = numbers.get(id);
      if (number === undefined) {
        number = [parseInt(id.slice(0, 8), 16), parseInt(id.slice(8, 16), 16)];
        numbers.set(id, number);
      }
      high ^= number[0];
      low ^= number[1];
    }
    return `${events.length}/${high}/${low}`;
  };
  return {
    parse(event, whole) {
      const known = parsed.get(event);
      if (known !== undefined) return known;
      const one = parseJobEvent(event, whole);
      parsed.set(event, one);
      return one;
    },
    fold(jobId, events) {
      const all = [...events];
      const name = nameOf(all);
      const known = states.get(name);
      if (known !== undefined) return known;
      const state = fold(jobId, all);
      if (states.size >= MAX_STATES) states.delete(states.keys().next().value!);
      states.set(name, state);
      return state;
    },
  };
}
