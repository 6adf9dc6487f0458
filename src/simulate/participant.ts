import { sha256, type Bytes } from '../hash.js';
import type { UploadRecord } from '../blob/upload-log.js';
import type { Clock, Progress, RandomBytes, Relays, Signer, Wallet } from '../ports.js';
import { localSigner } from '../signer.js';
import type { HomeFiles } from '../roles/home-files.js';
import type { PublishPorts } from '../roles/publish.js';
import type { Attack } from './attacks.js';
import type { MemoryLightning } from './lightning.js';
import { memoryFiles } from './memory-files.js';
import { memoryJournal } from './memory-journal.js';
import type { MemoryNetwork } from './memory-relays.js';
import { namedRandom } from './named-random.js';

/** One customer or trainer: its key, its home and its wallet, all of which follow from the seed and its name. */
export interface Participant {
  readonly name: string;
  readonly seed: Bytes;
  readonly signer: Signer;
  readonly random: RandomBytes;
  readonly files: HomeFiles;
  readonly wallet: Wallet;
  /** Null: honest. */
  readonly attack: Attack | null;
}

/** A wallet of play money holds what any job may cost: 21 million bitcoin. */
const FUNDS_MSAT = 2_100_000_000_000_000_000n;

export function createParticipant(
  name: string,
  { seed, lightning, attack = null }: { seed: Bytes; lightning: MemoryLightning; attack?: Attack | null },
): Participant {
  const own = sha256('nmkt/simulate', seed, name);
  const random = namedRandom(Buffer.from(own).toString('hex'));
  return {
    name,
    seed: own,
    signer: localSigner(own, random),
    random,
    files: memoryFiles(name, new Map()),
    wallet: lightning.wallet(name, name === 'customer' ? FUNDS_MSAT : 0n),
    attack,
  };
}

/** What nobody listens to. */
export const SILENT: Progress = { start() {}, update() {}, done() {}, note() {}, warn() {} };

export interface Places {
  readonly network: MemoryNetwork;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** @param relays  its connection */
export function portsOf(
  { signer, random, files }: Participant,
  relays: Relays,
  { network, clock, signal }: Places,
): PublishPorts {
  return {
    ...{ relays, signer, clock, random, files, signal },
    journal: async () => memoryJournal<UploadRecord>(),
    reader: async () => network.relays(),
    progress: SILENT,
  };
}
