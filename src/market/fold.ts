import type { EventId, Pubkey } from '../hash.js';
import { plainSpec } from '../learning/architecture.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { applyAward, applyReplace, openBids } from './award-rules.js';
import { buildChains, type Chain } from './chain.js';
import { applyClaimBad } from './claim-rules.js';
import { applyAppeal, applyDispute, applyDisputeDraw } from './dispute-rules.js';
import { disputesOf } from './dispute-state.js';
import { broken, type Broken, type Draft } from './draft.js';
import { indexEvents } from './event-index.js';
import { applyReceipt, applySettlement, isCorrection, owes } from './money-rules.js';
import { payoutsOf } from './payouts.js';
import { mustClose, roundRules } from './round-rules.js';
import { applyKeyFraud, applySold, isSelling } from './sale-rules.js';
import { NO_STAKES } from './stake.js';
import { applyStakeTable } from './stake-rules.js';
import type { JobPhase, JobState, RoundState, Violation } from './state.js';

/**
 * The state of a job: a pure function of its events, whatever their order and however often they came.
 * The customer's chain is the spine; participants' events count where its lists name them.
 *
 * @param events  parsed and signature-checked; events of other jobs are ignored
 */
export function foldJob(jobId: EventId, events: Iterable<JobEvent>): JobState {
  const own = [...events].filter((event) => event.job === jobId);
  const byId = new Map(own.map((event) => [event.id, event]));
  const job = byId.get(jobId);
  const chains = buildChains(byId.values());
  const forks = [...chains.values()].flatMap((chain) => (chain.fork === null ? [] : [chain.fork]));
  if (job === undefined || job.type !== 'job') return emptyState(jobId, chains, forks);

  const sound = new Map(
    [...chains.values()].filter(({ author }) => author !== job.author).map(({ author, events }) => [author, events]),
  );
  const draft: Draft = {
    jobId,
    job,
    byId,
    sound,
    index: indexEvents(sound),
    award: null,
    assignments: new Map(),
    spares: [],
    replacements: 0,
    heldShards: new Set(),
    lost: new Set(),
    validators: new Map(),
    frauds: new Map(),
    keyFrauds: new Map(),
    validatorFrauds: new Map(),
    disputes: [],
    refusedClaims: new Map(),
    rounds: [],
    settled: new Map(),
    receipts: new Map(),
    proven: new Set(),
    shown: new Map(),
    lacksListed: false,
    modelHash: null,
    lossPpm: null,
    artifact: null,
    cancelled: null,
    stakes: NO_STAKES,
    lacksStakes: false,
    missing: new Set(),
  };
  const spine = chains.get(job.author)!;
  let firstBad = walk(draft, spine);
  if (firstBad === null && spine.fork !== null) {
    const { seq, ids } = spine.fork;
    firstBad = {
      event: ids[0]!,
      author: job.author,
      rule: 'fork',
      detail: `two events with seq ${seq}: ${ids.join(' and ')}`,
    };
  }
  if (firstBad === null && spine.broken !== null)
    firstBad = {
      event: spine.broken,
      author: job.author,
      rule: 'chain',
      detail: 'prev does not name the event before',
    };
  return finish(draft, chains, forks, firstBad, spine.gapBefore !== null);
}

function walk(draft: Draft, spine: Chain): Violation | null {
  for (const event of spine.events.slice(1)) {
    const failure = apply(draft, event);
    if (failure !== null) return { event: event.id, author: event.author, ...failure };
  }
  return null;
}

/** Work that was accepted is still paid, and who was called a fraud at the end may still be heard. */
const AFTER_END: ReadonlySet<JobEvent['type']> = new Set([
  ...(['receipt', 'claim-bad', 'dispute', 'dispute-draw', 'complaint'] as const),
]);

function apply(draft: Draft, event: JobEvent): Broken | null {
  if (draft.artifact !== null || draft.cancelled !== null) {
    if (!AFTER_END.has(event.type) && !(event.type === 'settlement' && isCorrection(event)))
      return broken('after-end', `a ${event.type} after the job ended`);
  }
  switch (event.type) {
    case 'award':
      return applyAward(draft, event);
    case 'replace':
      return applyReplace(draft, event);
    case 'cancel':
      return applyCancel(draft, event);
    case 'artifact':
      return applyArtifact(draft, event);
    case 'settlement':
      return applySettlement(draft, event);
    case 'receipt':
      return applyReceipt(draft, event);
    case 'sold':
      return applySold(draft, event);
    case 'key-fraud':
      return applyKeyFraud(draft, event);
    case 'stake-table':
      return applyStakeTable(draft, event);
    case 'claim-bad':
      return applyClaimBad(draft, event);
    case 'dispute':
      return applyDispute(draft, event);
    case 'dispute-draw':
      return applyDisputeDraw(draft, event);
    case 'complaint':
      return applyAppeal(draft, event);
    default:
      return roundRules(draft, event);
  }
}

/** Work that was shown is accepted or rejected, and settled, first: after the end only receipts and refused claims count. */
function applyCancel(draft: Draft, event: EventOf<'cancel'>): Broken | null {
  const last = draft.rounds.at(-1);
  if (last !== undefined && last.settlement === null && owes(draft, last))
    return broken('cancel', `round ${last.round} is not settled`);
  if (last !== undefined && isSelling(draft, last))
    return broken('cancel', `the sale of round ${last.round} has not ended`);
  if (last !== undefined && mustClose(draft, last))
    return broken('cancel', `the updates of round ${last.round} are being revealed: it closes first`);
  draft.cancelled = event;
  return null;
}

function applyArtifact(draft: Draft, event: EventOf<'artifact'>): Broken | null {
  const last = draft.rounds.at(-1);
  if (
    draft.rounds.length !== draft.job.content.rounds ||
    last === undefined ||
    (last.close === null && last.voided === null)
  )
    return broken('artifact', `${draft.job.content.rounds} rounds were promised, ${draft.rounds.length} are there`);
  if (last.close !== null && owes(draft, last) && last.settlement === null)
    return broken('artifact', 'the last round is not settled');
  if (isSelling(draft, last)) return broken('artifact', 'the sale of the last round has not ended');
  if (event.content.weights.sha256 !== draft.modelHash)
    return broken(
      'artifact',
      `the model must hash to ${draft.modelHash ?? 'none'}, got ${event.content.weights.sha256}`,
    );
  const [asked, made] = [draft.job.content.model, event.content.model].map((spec) => JSON.stringify(plainSpec(spec)));
  if (made !== asked) return broken('artifact', 'its model is of another architecture than the job asked for');
  const credited = credits(draft)
    .map(([trainer, rounds]) => `${trainer}:${rounds}`)
    .join(' ');
  if (event.content.trainers.map(({ trainer, rounds }) => `${trainer}:${rounds}`).join(' ') !== credited)
    return broken('artifact', 'its trainers and their accepted rounds are not those of the job');
  if (event.content.rounds !== draft.rounds.filter((round) => round.close !== null).length)
    return broken('artifact', `${event.content.rounds} is not the number of closed rounds`);
  draft.artifact = event;
  return null;
}

/** Everyone who held a seat in a round, by key, with the rounds in which its update was accepted. */
function credits(draft: Draft): [Pubkey, number][] {
  const rounds = new Map<Pubkey, number>();
  for (const { assigned, close } of draft.rounds) {
    for (const { trainer } of assigned) rounds.set(trainer, rounds.get(trainer) ?? 0);
    for (const trainer of new Set(close?.content.accepted.map((entry) => entry.trainer)))
      rounds.set(trainer, (rounds.get(trainer) ?? 0) + 1);
  }
  return [...rounds].sort(([a], [b]) => (a < b ? -1 : 1));
}

function phaseOf(draft: Draft): JobPhase {
  if (draft.artifact !== null) return 'finished';
  if (draft.cancelled !== null) return 'cancelled';
  if (draft.award === null) return 'awarding';
  const last = draft.rounds.at(-1);
  if (last === undefined) return 'awarded';
  if (last.close === null && last.voided === null)
    return last.revealList !== null ? 'scoring' : last.commitList !== null ? 'revealing' : 'committing';
  if (last.close !== null && last.settlement === null && owes(draft, last)) return 'closed';
  if (isSelling(draft, last)) return 'selling';
  return draft.rounds.length >= draft.job.content.rounds ? 'trained' : 'between';
}

function finish(
  draft: Draft,
  chains: ReadonlyMap<Pubkey, Chain>,
  forks: JobState['forks'],
  firstBad: Violation | null,
  hasGap: boolean,
): JobState {
  const spine = chains.get(draft.job.author);
  if (hasGap && spine?.gapBefore != null) {
    const after = draft.byId.get(spine.gapBefore);
    if (after?.prev != null) draft.missing.add(after.prev);
  }
  const disputes = disputesOf(draft);
  const payouts = payoutsOf(draft, disputes);
  const rounds: RoundState[] = draft.rounds.map((round) => ({ ...round, payouts: payouts(round) }));
  return {
    jobId: draft.jobId,
    job: draft.job,
    phase: firstBad !== null ? 'frozen' : phaseOf(draft),
    chains,
    bids: openBids([...draft.sound.values()].flat(), 'bid'),
    sealedBids: openBids([...draft.sound.values()].flat(), 'sealed-bid'),
    award: draft.award,
    assignments: draft.assignments,
    spares: draft.spares,
    replacements: draft.replacements,
    heldShards: draft.heldShards,
    lost: draft.lost,
    validators: [...draft.validators.values()],
    frauds: draft.frauds,
    keyFrauds: draft.keyFrauds,
    validatorFrauds: draft.validatorFrauds,
    disputes,
    rounds,
    modelHash: draft.modelHash,
    artifact: draft.artifact,
    cancelled: draft.cancelled,
    stakes: draft.stakes,
    firstBad,
    forks,
    missing: [...draft.missing].sort(),
  };
}

function emptyState(jobId: EventId, chains: ReadonlyMap<Pubkey, Chain>, forks: JobState['forks']): JobState {
  return {
    jobId,
    job: null,
    phase: 'unknown',
    chains,
    bids: [],
    sealedBids: [],
    award: null,
    assignments: new Map(),
    spares: [],
    replacements: 0,
    heldShards: new Set(),
    lost: new Set(),
    validators: [],
    frauds: new Map(),
    keyFrauds: new Map(),
    validatorFrauds: new Map(),
    disputes: [],
    rounds: [],
    modelHash: null,
    artifact: null,
    cancelled: null,
    stakes: NO_STAKES,
    firstBad: null,
    forks,
    missing: [jobId],
  };
}
