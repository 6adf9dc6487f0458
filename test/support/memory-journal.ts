import type { Journal } from '../../src/ports.js';

/** A journal that keeps copies in an array; `records` are what a restart would find. */
export function memoryJournal<R>(records: R[] = []): Journal<R> {
  return {
    append: async (record) => void records.push(structuredClone(record)),
    read: async () => structuredClone(records),
    close: async () => undefined,
  };
}
