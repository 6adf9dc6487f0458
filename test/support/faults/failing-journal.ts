import type { Journal } from '../../../src/ports.js';

/** What becomes of one record: not on disk when the process dies, or on disk though it never learns it. */
export type WriteFault = 'ok' | 'lost' | 'kept';

/**
 * A journal whose process dies at chosen writes; what was written survives it.
 *
 * @param plan  taken one per record; the rest are written
 * @param die   throws
 */
export function failingJournal<R>(inner: Journal<R>, plan: WriteFault[], die: () => never): Journal<R> {
  return {
    ...inner,
    async append(record) {
      const fault = plan.shift() ?? 'ok';
      if (fault !== 'lost') await inner.append(record);
      if (fault !== 'ok') die();
    },
  };
}
