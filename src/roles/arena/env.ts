import type { Pubkey } from '../../hash.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import type { ArenaStage } from '../../market/arena/state.js';
import type { EarlierJob } from '../../market/standing.js';
import type { ArenaPayout } from '../../market/arena/state.js';
import type { Snapshot } from '../../protocol/dataset.js';
import type { CustomerEnv } from '../customer-env.js';
import type { JobBook } from '../job-book.js';
import type { TrainerEnv } from '../trainer.js';
import type { Candidate } from './recipe.js';
import type { CustomerData } from '../customer-data.js';

/** What the participants of an arena work with. */

export type ArenaBook = JobBook<FoldedArena>;

export interface ArenaCustomerEnv extends Pick<
  CustomerEnv,
  | 'relays'
  | 'allowedRelay'
  | 'signer'
  | 'clock'
  | 'random'
  | 'bell'
  | 'secrets'
  | 'blocked'
  | 'followed'
  | 'files'
  | 'payer'
  | 'stake'
  | 'cancel'
  | 'progress'
  | 'signal'
> {
  readonly book: ArenaBook;
  readonly earlier?: readonly EarlierJob[];
  onStep?(step: string, state: FoldedArena): void;
}

type Worker = Pick<
  TrainerEnv,
  | 'relays'
  | 'signer'
  | 'inbox'
  | 'clock'
  | 'random'
  | 'bell'
  | 'files'
  | 'stake'
  | 'snapshot'
  | 'wallet'
  | 'network'
  | 'paymentHashOf'
  | 'engine'
  | 'chunks'
  | 'progress'
  | 'signal'
  | 'emit'
>;

export interface ArenaTrainerEnv extends Worker {
  readonly book: ArenaBook;
  /** What it tries, one after the other. */
  readonly candidates: readonly Candidate[];
  /** Of each stage. */
  readonly trainSec: number;
}

export interface ArenaValidatorEnv extends Worker {
  readonly book: ArenaBook;
  /** Of stages 0 and 1; `snapshot` is of the training data. */
  readonly sets: readonly [Snapshot, Snapshot];
  /** By stage, once opened. */
  readonly opened: Map<number, Promise<Awaited<ReturnType<CustomerData['evaluationA']>>>>;
}

/** What was settled at once, as payees and payers look at it. */
export interface OwedStage {
  readonly round: number;
  readonly stage: ArenaStage;
  readonly payouts: readonly ArenaPayout[];
}

export function owedOf({ job, state }: FoldedArena): {
  readonly job: FoldedArena['job'];
  readonly rounds: readonly OwedStage[];
} {
  const stages = state?.stages ?? [];
  return { job, rounds: stages.map((stage) => ({ round: stage.stage, stage, payouts: stage.payouts })) };
}

/** Who counts as participant of a stage. */
export const worksIn = ({ submissions, validators }: ArenaStage, who: Pubkey): boolean =>
  submissions.has(who) || validators.has(who);
