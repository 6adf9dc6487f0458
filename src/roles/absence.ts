import type { Clock } from '../ports.js';
import type { JobBook } from './job-book.js';
import { ABSENCE_GRACE_SEC } from './missing.js';

/** `degraded`: only half of those who should know have said so, after the grace. */
export type Absence = 'known' | 'degraded' | 'unknown';

/** Asks the relays before anything is called absent: silence is none of their answers. */
export interface AbsenceQuestion {
  ask(): Promise<Absence>;
  /** Was the present question asked once only, until now? */
  readonly isNew: boolean;
  /** When half of the relays will be enough, Unix seconds. */
  readonly graceEndsAt: number;
  /** The next question is another one. */
  forget(): void;
}

/** @param refresh  asks all relays; @returns those that answered */
export function askAboutAbsence(
  book: Pick<JobBook, 'witnesses'>,
  clock: Clock,
  refresh: () => Promise<readonly string[]>,
): AbsenceQuestion {
  let since: number | null = null;
  let asked = 0;
  return {
    async ask() {
      since ??= clock.nowSec();
      asked++;
      const answered = await refresh();
      const witnesses = book.witnesses();
      const count = witnesses.filter((relay) => answered.includes(relay)).length;
      if (count === witnesses.length) return 'known';
      const isGraceOver = clock.nowSec() - since >= ABSENCE_GRACE_SEC;
      return isGraceOver && 2 * count >= witnesses.length ? 'degraded' : 'unknown';
    },
    get graceEndsAt() {
      return (since ?? clock.nowSec()) + ABSENCE_GRACE_SEC;
    },
    get isNew() {
      return asked <= 1;
    },
    forget() {
      since = null;
      asked = 0;
    },
  };
}
