import { EventIndex } from './event-index.js';
import type { EventStore, NowSec } from './store.js';

const BRACKET = Buffer.from(']');

/** Keeps the JSON itself in memory. */
export function memoryStore(nowSec: NowSec): EventStore {
  const index = new EventIndex<Buffer>((json) => json.length);
  return {
    has: (id) => index.has(id),
    judge: (event) => index.judge(event, nowSec()),
    usedBeside: (event) => index.usedBeside(event),
    frees: (request) => index.frees(request),
    add: async (event, json, onStored) => {
      // A copy: the buffer may be part of a larger one.
      const verdict = index.add(event, Buffer.from(json as string), nowSec());
      if (verdict === 'new') onStored();
      return verdict;
    },
    find: (filter, limit, isVisible) =>
      index
        .find(filter, limit, nowSec(), isVisible)
        .map((entry) => ({ head: entry, message: async (prefix) => Buffer.concat([prefix, entry.slot, BRACKET]) })),
    tend: async () => index.dropExpired(nowSec()),
    close: async () => {},
  };
}
