import type { Journal } from '../ports.js';

/**
 * A journal in an array; `records` are what a restart would find.
 *
 * @param copy  default: nobody can change what is kept; `(record) => record` where nobody does
 */
export function memoryJournal<R>(records: R[] = [], copy: <T>(value: T) => T = structuredClone): Journal<R> {
  return {
    append: async (record) => void records.push(copy(record)),
    read: async () => copy([...records]),
    close: async () => undefined,
  };
}
