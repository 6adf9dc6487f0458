import type { Bytes, EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { ShownUpdates } from './acceptance.js';
import type { Considered } from './auction.js';
import type { KeptResiduals } from './residuals.js';
import type { ShownLog } from './shown-log.js';
import type { EventIndex } from './event-index.js';
import type { DraftDispute } from './dispute-rules.js';
import type { Assignment, ValidatorSeat, Verdict } from './state.js';
import type { StakeBook } from './stake.js';

/** A round while it is being folded. */
export interface DraftRound {
  round: number;
  open: EventOf<'open'>;
  assigned: Assignment[];
  lossBeforePpm: number | null;
  /** With a seat when it opened, in their order. */
  validators: readonly ValidatorSeat[];
  commits: Map<number, EventOf<'commit'>>;
  commitList: EventOf<'list'> | null;
  listedCommits: Map<number, EventOf<'commit'>>;
  /** Comes after the list of commitments in a job with spot checks. */
  draw: EventOf<'draw'> | null;
  /** Of validators, for the list of commitments; by validator like the other maps of theirs. */
  nonces: Map<Pubkey, EventOf<'nonce'>>;
  /** Those of the draw, in order of their authors' keys; null: there is no draw, or one of them is not at hand. */
  drawNonces: readonly Bytes[] | null;
  /** Who scores this round, where seats are drawn by stake; null: whoever has a seat in the job. */
  drawn: ReadonlySet<Pubkey> | null;
  reveals: Map<number, EventOf<'reveal'>>;
  revealList: EventOf<'list'> | null;
  listedReveals: Map<number, EventOf<'reveal'>>;
  /** Updates that earlier rounds showed: nobody is paid for them again. */
  shownBefore: ShownUpdates;
  /** What codecs left behind in earlier rounds. */
  residuals: KeptResiduals;
  seen: Set<EventId>;
  scoreCommits: Map<Pubkey, EventOf<'score-commit'>>;
  scoreCommitList: EventOf<'list'> | null;
  listedScoreCommits: Map<Pubkey, EventOf<'score-commit'>>;
  scoreReveals: Map<Pubkey, EventOf<'scores'>>;
  scoreRevealList: EventOf<'list'> | null;
  listedScoreReveals: Map<Pubkey, EventOf<'scores'>>;
  /** The customer's own. */
  scores: EventOf<'scores'> | null;
  verdict: Verdict | null;
  /** Validators whose scores of it are proven false. */
  liars: Set<Pubkey>;
  close: EventOf<'close'> | null;
  sold: EventOf<'sold'> | null;
  voided: EventOf<'void'> | null;
  settlement: EventOf<'settlement'> | null;
  /** Of trainers that a false proof had rejected. */
  corrections: EventOf<'settlement'>[];
  receipts: Map<Sha256, EventOf<'receipt'>>;
}

/** Everything the rules look at while the customer's chain is walked. */
export interface Draft {
  readonly jobId: EventId;
  readonly job: EventOf<'job'>;
  readonly byId: ReadonlyMap<EventId, JobEvent>;
  /** Events of participants that stand in an unforked chain, by author. */
  readonly sound: ReadonlyMap<Pubkey, readonly JobEvent[]>;
  readonly index: EventIndex;
  award: EventOf<'award'> | null;
  readonly assignments: Map<number, Assignment>;
  spares: readonly Considered[];
  replacements: number;
  /** Shards that somebody holds or held. */
  readonly heldShards: Set<number>;
  /** Trainers that lost a seat. */
  readonly lost: Set<Pubkey>;
  /** By validator. */
  readonly validators: Map<Pubkey, ValidatorSeat>;
  /** By trainer: the proof that ended its award. */
  readonly frauds: Map<Pubkey, EventOf<'fraud'>>;
  /** By trainer that sold a wrong key. */
  readonly keyFrauds: Map<Pubkey, EventOf<'key-fraud'>>;
  /** By validator. */
  readonly validatorFrauds: Map<Pubkey, EventOf<'validator-fraud'>>;
  /** In the order in which the customer listed them. */
  readonly disputes: DraftDispute[];
  /** By claim. */
  readonly refusedClaims: Map<EventId, EventOf<'claim-bad'>>;
  readonly rounds: DraftRound[];
  /** Rounds by their settlement. */
  readonly settled: Map<EventId, DraftRound>;
  /** By payout, which names its round. */
  readonly receipts: Map<Sha256, EventOf<'receipt'>>;
  /** Seats, spelt by `seatName`, with an accepted update in a closed round. */
  readonly proven: Set<string>;
  /** Updates opened in the rounds before the last one. */
  readonly shown: ShownLog;
  /** Does a list name an event that is not at hand? */
  lacksListed: boolean;
  modelHash: Sha256 | null;
  lossPpm: number | null;
  artifact: EventOf<'artifact'> | null;
  cancelled: EventOf<'cancel'> | null;
  /** As the last stake table has them. */
  stakes: StakeBook;
  /** Does a stake table name an event that is not at hand? */
  lacksStakes: boolean;
  readonly missing: Set<EventId>;
}

/** A broken rule: its short name and what was expected and got. */
export interface Broken {
  readonly rule: string;
  readonly detail: string;
}
export const broken = (rule: string, detail: string): Broken => ({ rule, detail });
