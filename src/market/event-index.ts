import type { Pubkey } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';

/** Participants' events where the rules look for them, so that a job of any length is folded in time proportional to its events. */

/** What validators say of a round. */
export type Scoring = EventOf<'nonce'> | EventOf<'score-commit'> | EventOf<'scores'>;
export type Submission = EventOf<'commit'> | EventOf<'reveal'>;
export type MoneyEvent = EventOf<'claim'> | EventOf<'claim-void'> | EventOf<'received'> | EventOf<'unpaid'>;

/** Each answer in the order of its author's chain. */
export interface EventIndex {
  submissions(trainer: Pubkey, round: number): readonly Submission[];
  scoring(validator: Pubkey, round: number): readonly Scoring[];
  /** @param subject  a payout; for `received` the receipt */
  money(payee: Pubkey, subject: string): readonly MoneyEvent[];
}

/** @param sound  events that stand in an unforked chain, by author */
export function indexEvents(sound: ReadonlyMap<Pubkey, readonly JobEvent[]>): EventIndex {
  const submissions = new Map<Pubkey, Map<number, Submission[]>>();
  const scoring = new Map<Pubkey, Map<number, Scoring[]>>();
  const money = new Map<Pubkey, Map<string, MoneyEvent[]>>();
  for (const [author, events] of sound)
    for (const event of events)
      switch (event.type) {
        case 'commit':
        case 'reveal':
          keep(submissions, author, event.content.round, event);
          break;
        case 'nonce':
        case 'score-commit':
        case 'scores':
          keep(scoring, author, event.content.round, event);
          break;
        case 'claim':
        case 'claim-void':
        case 'unpaid':
          keep(money, author, event.content.payout, event);
          break;
        case 'received':
          keep(money, author, event.content.receipt, event);
          break;
        default:
      }
  return {
    submissions: (trainer, round) => submissions.get(trainer)?.get(round) ?? [],
    scoring: (validator, round) => scoring.get(validator)?.get(round) ?? [],
    money: (payee, subject) => money.get(payee)?.get(subject) ?? [],
  };
}

function keep<K, E>(index: Map<Pubkey, Map<K, E[]>>, author: Pubkey, key: K, event: E): void {
  const mine = index.get(author) ?? new Map<K, E[]>();
  if (mine.size === 0) index.set(author, mine);
  const bucket = mine.get(key);
  if (bucket === undefined) mine.set(key, [event]);
  else bucket.push(event);
}
