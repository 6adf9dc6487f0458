import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { keepsResidual, type Codec } from '../learning/codec/codec.js';
import { fedstrTests, leastWork, NOTHING_ASKED, workFloor, type LeastWork } from '../learning/scoring.js';
import type { EventOf } from '../protocol/events.js';
import type { RejectionRule } from '../protocol/round.js';
import type { ScoreRow } from '../protocol/score.js';
import { commitmentOf } from '../protocol/submission.js';
import { residualBefore, type KeptResiduals } from './residuals.js';
import type { FirstShown, ShownLog } from './shown-log.js';
import { isProvenFraud } from './spot-rules.js';

export interface Assigned {
  readonly trainer: Pubkey;
  readonly shard: number;
}
/** A finding that needs the update's key: signed by the customer in the close, re-measured by the audit. */
export interface Finding {
  readonly rule: 'blob' | 'shape' | 'spot-check';
  readonly detail: string;
}
export interface RoundEvidence {
  readonly job: EventId;
  readonly round: number;
  readonly baseHash: Sha256;
  readonly assigned: readonly Assigned[];
  /** Listed ones only; all maps are by shard, which has one seat in a round. */
  readonly commits: ReadonlyMap<number, EventOf<'commit'>>;
  readonly reveals: ReadonlyMap<number, EventOf<'reveal'>>;
  /** Updates opened in earlier rounds, by hash. */
  readonly shownBefore: ShownUpdates;
  /** What codecs left behind in earlier rounds. */
  readonly residuals: KeptResiduals;
  readonly codec: Codec;
  readonly findings: ReadonlyMap<number, Finding>;
  readonly scores: ReadonlyMap<number, ScoreRow>;
  /** Loss of the global model on set A before this round; null in round 0. */
  readonly lossBeforePpm: number | null;
  readonly strictLoss: boolean;
  /** Share of the round's median that is asked for of D, half of it of E; null: none. */
  readonly leastWorkPpm: number | null;
  /** The only engine whose work counts; null: any. */
  readonly engine: string | null;
  /** Is every update offered for the preimage of a payment? */
  readonly isSale: boolean;
}
/** Who opened an update first, if before this round. */
export interface ShownUpdates {
  get(update: Sha256): FirstShown | undefined;
}

export interface Rejection extends Assigned {
  readonly submission: EventId | null;
  readonly rule: RejectionRule;
  readonly detail: string;
}
export interface Acceptance {
  readonly accepted: readonly (Assigned & { readonly submission: EventId })[];
  readonly rejected: readonly Rejection[];
}

/**
 * Every rule in its fixed order, each failure naming its rule; a failing trainer never aborts the round. A proven fraud has none of
 * its updates accepted.
 * Results are in order of (shard, trainer).
 */
export function acceptRound(evidence: RoundEvidence): Acceptance {
  const asked = askedOf(evidence);
  const order = [...evidence.assigned].sort((a, b) => a.shard - b.shard || (a.trainer < b.trainer ? -1 : 1));
  const accepted: (Assigned & { submission: EventId })[] = [];
  const rejected: Rejection[] = [];
  for (const { trainer, shard } of order) {
    const submission = evidence.reveals.get(shard)?.id ?? null;
    const failure = judge(evidence, shard, asked);
    if (failure === null && submission !== null) accepted.push({ trainer, shard, submission });
    else if (failure !== null) rejected.push({ trainer, shard, submission, ...failure });
  }
  return { accepted, rejected };
}

/** The first rule that fails before any blob is opened; null: worth opening. */
export function publicFailure(evidence: PublicEvidence, shard: number): { rule: RejectionRule; detail: string } | null {
  const commit = evidence.commits.get(shard);
  if (commit === undefined) return { rule: 'absent', detail: 'no commitment in the list' };
  const reveal = evidence.reveals.get(shard);
  if (reveal === undefined) return { rule: 'no-reveal', detail: 'a commitment without a listed reveal' };
  const { updateHash, baseHash } = reveal.content;
  const opened = openingOf(evidence, reveal);
  if (!opens(evidence, reveal))
    return {
      rule: 'opening',
      detail: `the reveal gives ${opened.slice(0, 16)}, committed was ${commit.content.commitment.slice(0, 16)}`,
    };
  if (baseHash !== evidence.baseHash)
    return { rule: 'base', detail: `trained from ${baseHash.slice(0, 16)}, not from the round's base` };
  const leftOver = residualFailure(evidence, reveal);
  if (leftOver !== null) return { rule: 'residual', detail: leftOver };
  if (evidence.engine !== null && reveal.content.engine !== evidence.engine)
    return { rule: 'engine', detail: `trained on ${reveal.content.engine}, not on ${evidence.engine}` };
  if ((reveal.content.sale !== undefined) !== evidence.isSale)
    return { rule: 'sale', detail: evidence.isSale ? 'the hashes of its sale are missing' : 'nothing is sold here' };
  if (updateHash === evidence.baseHash)
    return { rule: 'unchanged', detail: 'the update equals the model it started from' };
  for (const theirs of evidence.reveals.values())
    if (theirs !== reveal && theirs.content.updateHash === updateHash && opens(evidence, theirs))
      return { rule: 'copy', detail: `the same bytes as ${theirs.author.slice(0, 16)}: honest seeds differ` };
  // A replay, of its own or of others: whatever a statistic says of it, it is no work of this round.
  const first = evidence.shownBefore.get(updateHash);
  if (first !== undefined)
    return { rule: 'copy', detail: `the bytes that ${first.trainer.slice(0, 16)} showed in round ${first.round + 1}` };
  return null;
}

/** A trainer may start again at zero, say in a new home; it may not bring along what its accepted work did not leave. */
function residualFailure(evidence: PublicEvidence, { author, content }: EventOf<'reveal'>): string | null {
  const { residual, shard } = content;
  if ((residual !== undefined) !== keepsResidual(evidence.codec))
    return residual === undefined
      ? 'the hashes of its residual are missing'
      : `codec ${evidence.codec.name} keeps none`;
  const before = residual?.before ?? null;
  const left = residualBefore(evidence.residuals, { trainer: author, shard });
  return before === null || before === left
    ? null
    : `it starts from ${before.slice(0, 16)}, its last accepted update left ${left?.slice(0, 16) ?? 'none'}`;
}

type PublicEvidence = Omit<RoundEvidence, 'findings' | 'scores'>;
type Opening = Pick<RoundEvidence, 'job' | 'round' | 'commits'>;

/** Adds what a round opened, for the rounds after it: whoever showed an update first stays. */
export function noteShown(log: ShownLog, evidence: Opening & Pick<RoundEvidence, 'reveals'>): void {
  for (const reveal of evidence.reveals.values()) {
    const hash = reveal.content.updateHash;
    if (!log.has(hash) && opens(evidence, reveal)) log.set(hash, { round: evidence.round, trainer: reveal.author });
  }
}

/** An event never changes, and every fold looks at the same ones again. */
const openings = new WeakMap<EventOf<'reveal'>, { readonly job: EventId; readonly round: number; opening: Sha256 }>();

function openingOf({ job, round }: Opening, reveal: EventOf<'reveal'>): Sha256 {
  const known = openings.get(reveal);
  if (known?.job === job && known.round === round) return known.opening;
  const { shard, baseHash, updateHash, checkpoints, salt, residual } = reveal.content;
  const trainer = reveal.author;
  const opening = commitmentOf({ job, round, shard, trainer, baseHash, updateHash, checkpoints, salt, residual });
  openings.set(reveal, { job, round, opening });
  return opening;
}

/** Only an opened hash makes a copy: else anyone could name another's revealed hash and take its author down. */
function opens(evidence: Opening, reveal: EventOf<'reveal'>): boolean {
  const commit = evidence.commits.get(reveal.content.shard);
  return commit?.content.commitment === openingOf(evidence, reveal) && commit.author === reveal.author;
}

function judge(
  evidence: RoundEvidence,
  shard: number,
  least: LeastWork,
): { rule: RejectionRule; detail: string } | null {
  const early = publicFailure(evidence, shard);
  if (early !== null) return early;
  const finding = evidence.findings.get(shard);
  if (finding !== undefined) return finding;
  const score = evidence.scores.get(shard);
  if (score === undefined) return { rule: 'work-floor', detail: 'no measurement' };
  if (evidence.strictLoss && !passesLossTests(evidence, shard))
    return { rule: 'loss', detail: `loss ${score.lossPpm} ppm on set A` };
  const floor = workFloor(score, least);
  if (!floor.pass)
    return { rule: 'work-floor', detail: workDetail(score, floor.rule === 'little-work' ? least : NOTHING_ASKED) };
  const forged = [...evidence.scores.values()].find(
    (row) => row.trainer === score.trainer && isProvenFraud(evidence.reveals.get(row.shard)!, row),
  );
  if (forged === undefined) return null;
  const { segment, hash } = forged.spot!;
  const where = forged.shard === shard ? '' : ` of its shard ${forged.shard}`;
  return { rule: 'spot-check', detail: `segment ${segment}${where} ends in ${hash.slice(0, 16)} when it is repeated` };
}

function askedOf({ scores, leastWorkPpm }: RoundEvidence): LeastWork {
  return leastWorkPpm === null ? NOTHING_ASKED : leastWork([...scores.values()], leastWorkPpm);
}

function workDetail({ dPpm, ePpm, ownSePpm, otherSePpm }: ScoreRow, least: LeastWork): string {
  const found = `D ${dPpm} ppm, E ${ePpm} ppm`;
  const asked = [least.dPpm === null ? null : `D ${least.dPpm}`, least.ePpm === null ? null : `E ${least.ePpm}`];
  const names = asked.filter((one) => one !== null).join(' and ');
  return names === '' ? found : `${found}, errors ${ownSePpm} and ${otherSePpm}; the round asks for ${names}`;
}

/** FEDSTR's two tests count only with `strict-loss`: under non-IID shards they reject honest work (arXiv 2404.15834). */
function passesLossTests({ scores, lossBeforePpm }: RoundEvidence, shard: number): boolean {
  const rows = [...scores.values()];
  const mine = rows.findIndex((row) => row.shard === shard);
  const test = fedstrTests(
    rows.map((row) => row.lossPpm),
    lossBeforePpm ?? Number.MAX_SAFE_INTEGER,
  )[mine];
  return test !== undefined && test.improves && test.agrees;
}
