import { systemClock } from '../../src/config/clock.js';
import { sha256 } from '../../src/hash.js';
import type { Clock, Progress, RandomBytes, Relays, Signer } from '../../src/ports.js';
import { connectRelays } from '../../src/relay/pool.js';
import { localSigner } from '../../src/signer.js';
import type { HomeFiles } from '../../src/roles/home-files.js';
import { memoryFiles } from '../../src/simulate/memory-files.js';
import { namedRandom } from '../../src/simulate/named-random.js';

/** What a participant of the bench has: real connections and the real clock, files in memory. */
export interface Place {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly random: RandomBytes;
  readonly files: HomeFiles;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export const SILENT: Progress = { start() {}, update() {}, done() {}, note() {}, warn() {} };

/** @param verified  signatures that some participant of this process has checked: a machine of its own checks each once, too */
export function place(name: string, url: string, signal: AbortSignal, verified = new Map<string, string>()): Place {
  const own = sha256('nmkt/bench/crowd', name);
  const random = namedRandom(Buffer.from(own).toString('hex'));
  const signer = localSigner(own, random);
  return {
    relays: connectRelays([url], { timeoutMs: 60_000, verified, signer, network: 'sandbox' }),
    ...{ signer, random, files: memoryFiles(name, new Map()), clock: systemClock },
    ...{ progress: SILENT, signal },
  };
}
