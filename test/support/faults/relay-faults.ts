import { sha256Hex } from '../../../src/hash.js';
import { newestFirst } from '../../../src/relay/filter.js';
import type { NostrEvent } from '../../../src/ports.js';
import type { RelayFault } from '../../../src/simulate/relay-fault.js';

export type { Answering, RelayFault, Taking } from '../../../src/simulate/relay-fault.js';
const HONEST: RelayFault = {
  take: () => ({ keep: true, say: 'ok' }),
  answer: (_, found) => ({ events: found, end: 'eose' }),
  passesOn: true,
};
const but = (changes: Partial<RelayFault>): RelayFault => ({ ...HONEST, ...changes });
const answers = (change: (found: readonly NostrEvent[], stored: readonly NostrEvent[]) => readonly unknown[]) =>
  but({ answer: (_, found, stored) => ({ events: change(found, stored), end: 'eose' }) });

/** Takes connections and says nothing, ever. */
export const silentRelay: RelayFault = {
  take: () => ({ keep: false, say: 'nothing' }),
  answer: () => ({ events: [], end: 'nothing' }),
  passesOn: false,
};

/** Does everything right, so late. */
export const slowRelay = (delayMs: number): RelayFault =>
  but({
    take: () => ({ keep: true, say: 'ok', delayMs }),
    answer: (_, found) => ({ events: found, end: 'eose', delayMs }),
  });

/** Keeps the newest events only, whatever it said about the older ones. */
export const forgetfulRelay = (kept: number): RelayFault =>
  but({
    answer: (_, found, stored) => {
      const left = new Set([...stored].sort(newestFirst).slice(0, kept));
      return { events: found.filter((event) => left.has(event)), end: 'eose' };
    },
  });

export const lyingRelays: Readonly<Record<string, RelayFault>> = {
  /** Says OK true and drops the event. */
  'stores nothing': { ...HONEST, take: () => ({ keep: false, say: 'ok' }), passesOn: false },
  /** Says that this is all before it has said anything. */
  'EOSE too early': but({ answer: (_, found) => ({ events: found, end: 'eose-first' }) }),
  /** Answers with whatever was not asked for. */
  'wrong events': answers((found, stored) => stored.filter((event) => !found.includes(event))),
  'bad signatures': answers((found) => found.map((event) => ({ ...event, sig: turned(event.sig) }))),
  /** Contents of its own under the ids and signatures of others. */
  'other contents': answers((found) => found.map((event) => ({ ...event, content: `${event.content} ` }))),
  /** Ids that fit the contents, under keys that never signed them. */
  'other authors': answers((found) => found.map((event) => ({ ...event, pubkey: sha256Hex(event.pubkey) }))),
  'no events at all': answers(() => [null, 7, 'event', {}, [], { id: 1 }]),
};

export const closingRelays: Readonly<Record<string, RelayFault>> = {
  /** Hangs up at every word. */
  'closes sockets': but({
    take: () => ({ keep: false, say: 'drop' }),
    answer: () => ({ events: [], end: 'drop' }),
    passesOn: false,
  }),
  /** Takes events, and ends every request with CLOSED. */
  'CLOSED messages': but({ answer: () => ({ events: [], end: 'closed' }), passesOn: false }),
  'hangs up in the middle of a message': but({
    answer: (_, found) => ({ events: found, end: 'half' }),
    passesOn: false,
  }),
};

/** One of every sort, by name. */
export const relayFaults: Readonly<Record<string, RelayFault>> = {
  silent: silentRelay,
  slow: slowRelay(3_000),
  forgetful: forgetfulRelay(5),
  ...lyingRelays,
  ...closingRelays,
};

function turned(hex: string): string {
  return [...hex].reverse().join('');
}
