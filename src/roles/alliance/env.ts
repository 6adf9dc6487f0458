import type { Sha256 } from '../../hash.js';
import type { FoldedAlliance } from '../../market/alliance/fold.js';
import type { Engine, NostrEvent, RandomBytes, Signer } from '../../ports.js';
import type { Examples } from '../../learning/types.js';
import type { CustomerEnv, JobFiles } from '../customer-env.js';
import type { Inbox } from '../inbox.js';
import type { LeadEnv } from '../lead-loop.js';
import type { OwnStake } from '../stake.js';
import type { WorkerEnv } from '../worker-loop.js';

/** The customer's secrets of an alliance: JSON in the home, written before the job is published. Hex, 32 bytes each. */
export interface AllianceSecrets {
  readonly event: NostrEvent;
  /** Hash of the terms the user asked for: a second run finds this job by it. */
  readonly request: Sha256;
  readonly chain: string;
  /** The group's key: it opens the proposals. */
  readonly group: string;
  /** The first round opens as soon as so many have joined, or after `joinWindowSec` with as many as it takes. */
  readonly members: number;
  readonly joinWindowSec: number;
}

/** Who leads an alliance: it lists, draws, settles and pays, and trains nothing. */
export interface SequencerEnv
  extends LeadEnv<FoldedAlliance>, Pick<CustomerEnv, 'allowedRelay' | 'signer' | 'payer' | 'cancel'> {
  readonly secrets: AllianceSecrets;
  readonly files: JobFiles;
}

/** Who trains and votes on data of its own. */
export interface MemberEnv extends WorkerEnv<FoldedAlliance> {
  readonly signer: Signer;
  readonly random: RandomBytes;
  readonly inbox: Pick<Inbox, 'grants'>;
  readonly files: JobFiles;
  /** Absent: it locks no stake by itself. */
  readonly stake?: OwnStake;
  /** Its own rows: what it trains on as a proposer, what it measures on as a voter. */
  local(): Promise<{ readonly train: Examples; readonly test: Examples }>;
  engine(): Promise<Engine>;
}
