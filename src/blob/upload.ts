import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { NostrEvent, PublishOutcome, Relays } from '../ports.js';
import { orInterrupted, requireRunning } from './interrupt.js';

const WINDOW = 64;
/** Silences in a row after which a relay gets no more chunks: each one costs a full timeout. */
const MAX_SILENCES = 3;
/** NIP-01 prefixes of a no that further chunks would meet as well. */
const LASTING_REFUSAL = /^(pow|restricted|blocked|auth-required):/;

export interface UploadOptions {
  /** Events settled so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Events in flight; the round trip, not the bandwidth, is what a window hides. */
  readonly windowSize?: number;
  readonly signal?: AbortSignal;
}

export interface RelayTally {
  readonly relay: string;
  readonly stored: number;
  readonly refused: number;
  readonly unreachable: number;
  /** Not sent: the relay had refused or been silent before. */
  readonly skipped: number;
  /** The relay's last words that were not `stored`. */
  readonly message: string;
}

export interface UploadResult {
  readonly events: number;
  readonly relays: readonly RelayTally[];
}

interface RelayState {
  stored: number;
  refused: number;
  unreachable: number;
  silences: number;
  /** Why it gets no more chunks. */
  dropped: 'no' | 'silent' | 'refuses';
  message: string;
}

/**
 * Publishes every event to every relay, a window at a time. Safe to repeat: what a relay already has counts as stored.
 * An event that met silence everywhere is sent once more. Gives up early when a whole window was stored nowhere.
 *
 * @returns per relay what it took; at least one relay stored each event
 * @throws NmktError `relay-refused` when an event is stored nowhere and every relay said no, `relay-unreachable` when
 *         some were silent, `interrupted`
 */
export async function uploadBlob(
  relays: Relays,
  events: readonly NostrEvent[],
  options: UploadOptions = {},
): Promise<UploadResult> {
  const states = new Map<string, RelayState>(relays.urls.map((url) => [url, freshState()]));
  requireRunning(options.signal);
  let homeless = await sendWindowed(relays, events, states, options);
  if (homeless.length > 0 && homeless.length < events.length && reopenSilent(states)) {
    homeless = await sendWindowed(relays, homeless, states, { ...options, onProgress: () => undefined });
  }
  if (homeless.length > 0) throw notStored(events.length, homeless.length, states);
  return { events: events.length, relays: tallies(states, events.length) };
}

/** @returns the events that no relay stored, those not sent at all included */
async function sendWindowed(
  relays: Relays,
  events: readonly NostrEvent[],
  states: ReadonlyMap<string, RelayState>,
  { onProgress, windowSize = WINDOW, signal }: UploadOptions,
): Promise<readonly NostrEvent[]> {
  const homeless: NostrEvent[] = [];
  let next = 0;
  let settled = 0;
  const isHopeless = () => homeless.length === settled && settled >= windowSize;

  const sendRest = async (): Promise<void> => {
    while (next < events.length && !isHopeless()) {
      const event = events[next++]!;
      if (!(await send(relays, event, states, signal))) homeless.push(event);
      settled++;
      onProgress?.(settled, events.length);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, windowSize) }, sendRest));
  return [...homeless, ...events.slice(next)];
}

/** Gives relays that were only silent another chance. @returns whether there are any */
function reopenSilent(states: ReadonlyMap<string, RelayState>): boolean {
  const silent = [...states.values()].filter(({ unreachable, dropped }) => unreachable > 0 && dropped !== 'refuses');
  for (const state of silent) {
    state.dropped = 'no';
    state.silences = 0;
  }
  return silent.length > 0;
}

function freshState(): RelayState {
  return { stored: 0, refused: 0, unreachable: 0, silences: 0, dropped: 'no', message: '' };
}

/** @returns whether at least one relay stored the event */
async function send(
  relays: Relays,
  event: NostrEvent,
  states: ReadonlyMap<string, RelayState>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const open = [...states].filter(([, state]) => state.dropped === 'no').map(([url]) => url);
  if (open.length === 0) return false;
  const outcomes = await orInterrupted(relays.publish(event, open), signal);
  for (const outcome of outcomes) note(states.get(outcome.relay), outcome);
  return outcomes.some(({ state }) => state === 'stored');
}

function note(state: RelayState | undefined, outcome: PublishOutcome): void {
  if (state === undefined) return;
  state[outcome.state]++;
  state.silences = outcome.state === 'unreachable' ? state.silences + 1 : 0;
  if (outcome.state !== 'stored') state.message = outcome.message.slice(0, 200);
  if (state.silences >= MAX_SILENCES) state.dropped = 'silent';
  if (outcome.state === 'refused' && LASTING_REFUSAL.test(outcome.message)) state.dropped = 'refuses';
}

function tallies(states: ReadonlyMap<string, RelayState>, total: number): readonly RelayTally[] {
  return [...states].map(([relay, { stored, refused, unreachable, message }]) => ({
    relay,
    stored,
    refused,
    unreachable,
    skipped: Math.max(0, total - stored - refused - unreachable),
    message,
  }));
}

function notStored(total: number, missing: number, states: ReadonlyMap<string, RelayState>): NmktError {
  const relays = tallies(states, total);
  const isRefused = relays.length > 0 && relays.every(({ unreachable }) => unreachable === 0);
  const words = relays.map(
    (tally) =>
      `${tally.relay}: ${tally.stored} stored, ${tally.refused} refused, ${tally.unreachable} unanswered` +
      (tally.message === '' ? '' : ` (${tally.message})`),
  );
  return new NmktError(
    isRefused ? 'relay-refused' : 'relay-unreachable',
    `${missing} of ${total} chunks are stored on no relay`,
    {
      remedy: isRefused
        ? 'name a relay that takes 64 KB events of kind 4621 with --relay, or run your own: nmkt relay'
        : 'run the same command again, or add a relay with --relay: stored chunks are not sent twice',
      expected: `${total} chunks on at least one relay each`,
      got: words.join('; ') || 'no relay',
      value: { events: total, missing, relays },
    },
  );
}

export interface StoredSample {
  readonly relay: string;
  /** False: silent, which says nothing about what it holds. */
  readonly hasAnswered: boolean;
  readonly found: number;
  readonly missing: readonly EventId[];
}

/**
 * Read-back: asks every relay by itself for a sample of what was uploaded, ids and signatures checked. Call it with a
 * connection that did not upload: an `OK` proves nothing about storage.
 *
 * @throws NmktError `interrupted`
 */
export async function verifyStored(
  relays: Relays,
  sample: readonly NostrEvent[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly StoredSample[]> {
  const ids = sample.map(({ id }) => id);
  if (ids.length === 0) return [];
  return Promise.all(
    relays.urls.map(async (relay): Promise<StoredSample> => {
      const request = relays.fetch([{ ids, limit: ids.length }], { relays: [relay] });
      const { events, answered } = await orInterrupted(request, options.signal);
      const found = new Set<string>(events.map(({ id }) => id));
      const missing = ids.filter((id) => !found.has(id));
      return { relay, hasAnswered: answered.includes(relay), found: ids.length - missing.length, missing };
    }),
  );
}
