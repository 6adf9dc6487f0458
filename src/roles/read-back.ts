import type { ChunkSource } from '../blob/source.js';
import type { Holds } from '../blob/placement.js';
import { someRelays, uploadBlob, verifyStored, type RelayTally, type StoredSample } from '../blob/transfer.js';
import type { UploadLog } from '../blob/upload-log.js';
import { NmktError } from '../errors.js';
import type { NostrEvent, Progress, RandomBytes, Relays } from '../ports.js';
import { drawSample } from './chunk-sample.js';

/** `OK` proves nothing about storage: a few chunks are asked for over a connection that did not upload. */

export interface ReadBackPorts {
  readonly relays: Relays;
  /** A new connection, of nobody. */
  readonly reader: () => Promise<Relays>;
  readonly random: RandomBytes;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Told of chunks that a relay said to have and did not give. */
  readonly onLost: (relay: string, chunks: number) => void;
  /** Which relay should have which chunk; undefined: each has all. */
  readonly holds: Holds | undefined;
}

/**
 * A relay that lacks a chunk which it said to have gets everything once more; one that lacks it again is told to the user.
 *
 * @returns the tallies, with what was sent again
 * @throws NmktError `relay-refused` when no relay gives back what it stored, `relay-unreachable` when some are silent
 */
export async function requireReadBack(
  source: ChunkSource,
  log: UploadLog,
  tallies: readonly RelayTally[],
  ports: ReadBackPorts,
): Promise<readonly RelayTally[]> {
  const whole = tallies.filter(({ stored, assigned }) => stored === assigned && assigned > 0).map(({ relay }) => relay);
  const drawn = drawSample(source.count, ports.random);
  const sample = new Map<number, NostrEvent>();
  for (const index of drawn) sample.set(index, await source.event(index));
  const { holds = () => true } = ports;
  const ask = async (reader: Relays, urls: readonly string[]): Promise<readonly StoredSample[]> => {
    const eventsOf = (url: string) => drawn.filter((index) => holds(url, index)).map((index) => sample.get(index)!);
    const asked = urls.map((url) => verifyStored(someRelays(reader, [url]), eventsOf(url), ports));
    return (await Promise.all(asked)).flat();
  };
  const reader = await ports.reader();
  try {
    const first = await ask(reader, whole);
    for (const { relay, hasAnswered, missing } of first)
      if (hasAnswered && missing.length > 0) ports.onLost(relay, missing.length);
    const lost = first
      .filter(({ hasAnswered, missing }) => hasAnswered && missing.length > 0)
      .map(({ relay }) => relay);
    for (const relay of lost) {
      ports.progress.warn(`${relay} said to have all chunks and does not give some of them back: they are sent again`);
      await log.forget(relay);
    }
    const again = lost.length === 0 ? [] : await sendAgain(source, log, someRelays(ports.relays, lost), ports);
    const second = lost.length === 0 ? [] : await ask(reader, lost);
    const latest = first.map((one) => second.find(({ relay }) => relay === one.relay) ?? one);
    const good = latest.filter(({ hasAnswered, missing }) => hasAnswered && missing.length === 0);
    for (const { relay, hasAnswered, found, missing } of latest) {
      if (!hasAnswered) ports.progress.warn(`${relay} does not answer a reader: nothing is known of what it stored`);
      else if (missing.length > 0)
        ports.progress.warn(
          `${relay} does not give back ${missing.length} of ${found + missing.length} chunks: do not count on it`,
        );
    }
    if (latest.length > 0 && good.length === 0)
      throw notGivenBack(
        latest.every(({ hasAnswered }) => hasAnswered),
        whole,
      );
    return tallies.map((one) => again.find(({ relay }) => relay === one.relay) ?? one);
  } finally {
    await reader.close();
  }
}

async function sendAgain(
  source: ChunkSource,
  log: UploadLog,
  relays: Relays,
  { signal, holds }: ReadBackPorts,
): Promise<readonly RelayTally[]> {
  try {
    return (await uploadBlob(relays, source, { log, signal, holds })).relays;
  } catch (error) {
    if (error instanceof NmktError && error.code !== 'interrupted') return [];
    throw error;
  }
}

function notGivenBack(isAnswered: boolean, relays: readonly string[]): NmktError {
  return new NmktError(
    isAnswered ? 'relay-refused' : 'relay-unreachable',
    'no relay gives back the chunks that it said to have stored',
    {
      remedy: 'name another relay with --relay, or run your own: nmkt relay',
      expected: 'the same chunks over a new connection',
      got: `some or all missing at ${relays.join(', ')}`,
    },
  );
}

export function warnAboutRelays(relays: readonly RelayTally[], progress: Progress): void {
  for (const { relay, stored, assigned, message } of relays)
    if (stored < assigned) progress.warn(`${relay} has ${stored} of ${assigned} chunks: ${message}`);
}
