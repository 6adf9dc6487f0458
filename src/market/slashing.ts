import type { EventId, Pubkey } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { DraftDispute } from './dispute-rules.js';
import { keyGuiltOf } from './sale-rules.js';
import type { RoundState } from './state.js';
import { committedEnd } from './spot-rules.js';

/** Whose stake in which job two signed events condemn. */
export interface Guilt {
  readonly job: EventId;
  readonly staker: Pubkey;
}

/** @see doubleOf, keyGuiltOf */
export function guiltOf(events: readonly JobEvent[]): Guilt | null {
  return doubleOf(events) ?? keyGuiltOf(events);
}

/**
 * Two different commitments, or two different reveals, of one key for one seat of a round, or a validator's two commitments to its scores, or two verdicts for one draw: both signatures prove it to anybody. Absence and
 * disagreement cost reward, never stake; nor does any word of the customer's.
 *
 * @param events  parsed, their signatures checked
 * @returns       null: they prove nothing that stake answers for
 */
function doubleOf(events: readonly JobEvent[]): Guilt | null {
  const [a, b] = events;
  if (events.length !== 2 || a === undefined || b === undefined || a.id === b.id) return null;
  if (a.author !== b.author || a.job !== b.job) return null;
  const place = placeOf(a);
  return place !== null && place === placeOf(b) ? { job: a.job, staker: a.author } : null;
}

/** What may be said once only, spelt; null: it may be said again. */
export function placeOf(event: JobEvent): string | null {
  if (event.type === 'commit' || event.type === 'reveal')
    return `${event.type} ${event.content.round} ${event.content.shard}`;
  if (event.type === 'verdict') return `${event.type} ${event.content.draw}`;
  return event.type === 'score-commit' ? `${event.type} ${event.content.round}` : null;
}

/** The reporter gets 10 %, rounded down, the job's pot the rest: never the customer, nor who signed. */
export function slashShares(amountMsat: bigint): { readonly reporterMsat: bigint; readonly potMsat: bigint } {
  const reporterMsat = amountMsat / 10n;
  return { reporterMsat, potMsat: amountMsat - reporterMsat };
}

/** What condemns a key: whom, and who signed it. */
export interface Proof {
  readonly guilty: Pubkey;
  /** They get nothing of the pot that their signatures fill. */
  readonly signers: ReadonlySet<Pubkey>;
  /** Absent: all of a lock is taken. */
  readonly part?: Part;
}
/** Of a lock, once by each name: a share of what was locked at first, in ppm, rounded down; never more than is left. */
export interface Part {
  readonly name: string;
  readonly sharePpm: number;
}

export function partMsat(wholeMsat: bigint, leftMsat: bigint, { sharePpm }: Part): bigint {
  const share = (wholeMsat * BigInt(sharePpm)) / 1_000_000n;
  return share < leftMsat ? share : leftMsat;
}

/** Two events that prove it to anybody. */
export function pairProof(evidence: readonly JobEvent[]): Proof | null {
  const guilt = guiltOf(evidence);
  return guilt === null ? null : { guilty: guilt.staker, signers: new Set([guilt.staker]) };
}

/** Where evidence is looked up: a job while it is folded, or after. */
export interface ProofSource {
  readonly frauds: ReadonlyMap<Pubkey, EventOf<'fraud'>>;
  readonly validatorFrauds: ReadonlyMap<Pubkey, EventOf<'validator-fraud'>>;
  readonly rounds: readonly Pick<RoundState, 'verdict' | 'listedReveals' | 'listedScoreReveals'>[];
  /** Opened by the customer so far. */
  readonly disputes: readonly Pick<DraftDispute, 'fraud' | 'draw' | 'order'>[];
}

/**
 * Two events that contradict each other; or the customer's one that follows from what validators signed, a `validator-fraud` or a `fraud`
 * whose segment validators repeated and nobody disputed, or with a verdict of who was drawn to repeat it again. What the customer alone measured condemns nobody.
 *
 * @param evidence  in any order
 * @returns         null: nothing that stake answers for
 */
export function proofOf(source: ProofSource, evidence: readonly JobEvent[]): Proof | null {
  const pair = pairProof(evidence);
  if (pair !== null) return pair;
  const [event] = evidence;
  if (evidence.length === 1 && event?.type === 'validator-fraud') return validatorProof(source, event);
  const fraud = evidence.find((one) => one.type === 'fraud');
  if (fraud?.type !== 'fraud') return null;
  const verdict = evidence.find((one) => one.type === 'verdict');
  const isAll = evidence.length === (verdict === undefined ? 1 : 2);
  return isAll ? trainerProof(source, fraud, verdict?.type === 'verdict' ? verdict : null) : null;
}

/** Nobody disputes it, or this verdict of a validator that was drawn to repeat it says so, too. */
function isConfirmed(
  { disputes }: ProofSource,
  { id, content }: EventOf<'fraud'>,
  verdict: EventOf<'verdict'> | null,
): boolean {
  const dispute = disputes.find(({ fraud }) => fraud.id === id);
  if (dispute === undefined || verdict === null) return dispute === undefined && verdict === null;
  const { draw, segment, hash } = verdict.content;
  const isDrawn = dispute.draw?.id === draw && dispute.order?.includes(verdict.author) === true;
  return isDrawn && segment === content.segment && hash !== content.committed;
}

function validatorProof({ validatorFrauds, rounds }: ProofSource, event: EventOf<'validator-fraud'>): Proof | null {
  const { validator, witnesses } = event.content;
  if (validatorFrauds.get(validator)?.id !== event.id) return null;
  const sheets = rounds.flatMap(({ listedScoreReveals }) => [...listedScoreReveals.values()]);
  const authors = sheets.filter(({ id }) => witnesses.includes(id)).map(({ author }) => author);
  return { guilty: validator, signers: new Set([event.author, validator, ...authors]) };
}

function trainerProof(source: ProofSource, event: EventOf<'fraud'>, verdict: EventOf<'verdict'> | null): Proof | null {
  const { frauds, rounds } = source;
  const { trainer, scores, submission, segment } = event.content;
  if (frauds.get(trainer)?.id !== event.id || !isConfirmed(source, event, verdict)) return null;
  const round = rounds.find(({ verdict }) => verdict?.by === scores && verdict.from === 'validators');
  const reveal = [...(round?.listedReveals.values() ?? [])].find(({ id }) => id === submission);
  if (round === undefined || reveal === undefined) return null;
  const end = committedEnd(reveal.content, segment);
  const witnesses = [...round.listedScoreReveals.values()].filter(({ content }) =>
    content.scores.some(
      ({ submission: of, spot }) => of === submission && spot?.segment === segment && spot.hash !== end,
    ),
  );
  const judges = verdict === null ? [] : [verdict.author];
  return {
    guilty: trainer,
    signers: new Set([event.author, trainer, ...witnesses.map(({ author }) => author), ...judges]),
  };
}

/** What a slash cites, where all of it is at hand; else, or where the customer reports, why it counts not. */
export function evidenceOf(
  customer: Pubkey,
  { author, content }: EventOf<'slash'>,
  find: (id: EventId) => JobEvent | undefined,
): readonly JobEvent[] | string {
  if (author === customer) return 'the customer gets nothing of what is slashed';
  const found = content.evidence.flatMap((id) => find(id) ?? []);
  return found.length === content.evidence.length ? found : 'not all of its evidence is at hand';
}
