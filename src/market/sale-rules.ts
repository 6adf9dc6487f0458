import { hex, type EventId } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { judgeSale } from '../protocol/sale.js';
import type { PlanLine } from '../protocol/settlement.js';
import type { SaleHashes } from '../protocol/submission.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import type { Guilt } from './slashing.js';
import { quorumOf, type RoundState } from './state.js';

/** Rail `key-sale`: after its settlement the keys to a round's accepted updates are paid for, then the sale ends. */

/** Blocks: so long a payment for a key may wait at most. A key is given away at once, or not at all. */
export const SALE_CLTV = 40;

type Closed = Pick<RoundState, 'round' | 'close' | 'sold'>;

export function isSelling({ job }: Pick<Draft, 'job'>, { close, sold }: Closed): boolean {
  return job.content.rail === 'key-sale' && close !== null && sold === null;
}

/** What a line of a settlement pays for; null: no key. */
export function saleOf(
  { rail }: Pick<EventOf<'job'>['content'], 'rail'>,
  { listedReveals }: Pick<RoundState, 'listedReveals'>,
  { payee, purpose }: Pick<PlanLine, 'payee'> & { readonly purpose: string },
): SaleHashes | null {
  if (rail !== 'key-sale' || purpose !== 'trainer') return null;
  return [...listedReveals.values()].find(({ author }) => author === payee)?.content.sale ?? null;
}

/** Of the accepted updates those whose payment has a receipt, but for proven frauds; in order. */
export function boughtIn(
  {
    close,
    settlement,
    receipts,
  }: Pick<DraftRound, 'close' | 'settlement'> & {
    readonly receipts: { has(payout: PlanLine['payout']): boolean };
  },
  keyFrauds: ReadonlyMap<PlanLine['payee'], Pick<EventOf<'key-fraud'>, 'content'>>,
): EventOf<'sold'>['content']['sold'] {
  const paid = new Set(
    (settlement?.content.plan ?? [])
      .filter(({ purpose, payout }) => purpose === 'trainer' && receipts.has(payout))
      .map(({ payee }) => payee),
  );
  return (close?.content.accepted ?? []).filter(
    ({ trainer, submission }) => paid.has(trainer) && keyFrauds.get(trainer)?.content.submission !== submission,
  );
}

export function applySold(draft: Draft, event: EventOf<'sold'>): Broken | null {
  const round = draft.rounds.at(-1);
  const { content } = event;
  if (round === undefined || !isSelling(draft, round) || round.settlement === null)
    return broken('sold', 'no sale is open');
  if (content.round !== round.round || content.settlement !== round.settlement.id)
    return broken('sold', `it ends another sale than that of round ${round.round}`);
  const spell = (rows: readonly { readonly submission: EventId; readonly trainer: string; readonly shard: number }[]) =>
    rows.map(({ submission, trainer, shard }) => `${shard}:${trainer}:${submission}`).join(' ');
  const bought = boughtIn(round, draft.keyFrauds);
  if (spell(content.sold) !== spell(bought))
    return broken('sold', `${bought.length} accepted updates are paid for, ${content.sold.length} are named`);
  const quorum = quorumOf(draft.job.content, round);
  if (bought.length < quorum && content.aggregate !== draft.modelHash)
    return broken('sold', `${quorum} updates are the quorum, ${bought.length} are sold: the model stays`);
  round.sold = event;
  draft.modelHash = content.aggregate;
  draft.lossPpm = content.lossPpm;
  return null;
}

export function applyKeyFraud(draft: Draft, event: EventOf<'key-fraud'>): Broken | null {
  const { round: index, shard, trainer, submission, preimage } = event.content;
  const round = draft.rounds.at(-1);
  if (round === undefined || round.round !== index || !isSelling(draft, round))
    return broken('key-fraud', 'no sale is open in that round');
  if (draft.keyFrauds.has(trainer)) return broken('key-fraud', `${trainer} is a proven fraud already`);
  const isPaid = [...round.receipts.values()].some(
    ({ content }) => content.payee === trainer && content.preimage === hex(preimage),
  );
  if (!isPaid) return broken('key-fraud', `the customer has not paid ${trainer}`);
  const reveal = round.listedReveals.get(shard);
  if (reveal === undefined) return null; // not at hand: nobody can tell
  if (reveal.id !== submission || reveal.author !== trainer || keyFraudOf(reveal, event) === null)
    return broken('key-fraud', 'its hashes prove nothing');
  draft.keyFrauds.set(trainer, event);
  return null;
}

/**
 * Whom a sale of a wrong key condemns, by the trainer's own signature: whoever says so.
 *
 * @returns null: it proves nothing
 */
export function keyFraudOf(reveal: EventOf<'reveal'>, { job, content }: EventOf<'key-fraud'>): Guilt | null {
  const { sale } = reveal.content;
  if (sale === undefined || reveal.job !== job || reveal.id !== content.submission) return null;
  return judgeSale(sale, job, content) === 'fraud' ? { job, staker: reveal.author } : null;
}

/** The same of two events in any order, as they prove it to who holds a stake. */
export function keyGuiltOf(events: readonly JobEvent[]): Guilt | null {
  const reveal = events.find((event) => event.type === 'reveal');
  const fraud = events.find((event) => event.type === 'key-fraud');
  if (events.length !== 2 || reveal?.type !== 'reveal' || fraud?.type !== 'key-fraud') return null;
  return keyFraudOf(reveal, fraud);
}
