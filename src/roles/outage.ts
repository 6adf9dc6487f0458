import type { Clock, Progress, Relays } from '../ports.js';
import type { JobBook } from './job-book.js';
import { clockTime } from './patience.js';

/** While nothing happens the book asks its relays again: a subscription can die silently. */
const REFRESH_SEC = 30;
/** Others wait for what no relay took, or nobody was heard at all. */
const OUTAGE_REFRESH_SEC = 5;

/** How often a waiting process asks its relays. */
export function refreshSec(book: Pick<JobBook, 'unpublished'>, { since }: Outage): number {
  return book.unpublished() > 0 || since !== null ? OUTAGE_REFRESH_SEC : REFRESH_SEC;
}

/** Which relays are heard, told to the user once for each change; without a terminal nothing else says it. */
export interface Outage {
  /** Since when no relay answers, Unix seconds; null while one does. */
  readonly since: number | null;
  /** After a question to all relays. @param answered  those that did */
  heard(answered: readonly string[]): void;
  /** What this process does meanwhile: a warning the first time, then only where a terminal shows it. */
  tell(what: string): void;
}

export function watchOutage(env: {
  readonly clock: Clock;
  readonly progress: Progress;
  readonly relays: Pick<Relays, 'urls'>;
}): Outage {
  const away = new Set<string>();
  let since: number | null = null;
  let isTold = false;
  return {
    get since() {
      return since;
    },
    heard(answered) {
      const now = env.clock.nowSec();
      if (answered.length === 0) return void (since ??= now);
      if (isTold) env.progress.note(`${answered.join(', ')} ${answered.length === 1 ? 'answers' : 'answer'} again`);
      since = null;
      isTold = false;
      for (const relay of env.relays.urls) {
        const isAway = !answered.includes(relay);
        if (isAway && !away.has(relay)) {
          away.add(relay);
          env.progress.warn(`${relay} does not answer since ${clockTime(now)}; going on with ${answered.join(', ')}`);
        }
        if (!isAway && away.delete(relay)) env.progress.note(`${relay} is back; it gets what it missed`);
      }
    },
    tell(what) {
      const line = since === null ? what : `no relay answers since ${clockTime(since)}: ${what}`;
      if (isTold) return env.progress.update(line);
      isTold = true;
      env.progress.warn(line);
    },
  };
}
