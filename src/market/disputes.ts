import type { EventId, Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { replacements } from './conduct.js';
import { describeDisputes, disputeText } from './describe-disputes.js';
import type { JobState, RoundState } from './state.js';

/** Two words against each other that no event decides: said, not failed. */
export interface Dispute {
  /** The event that says it. */
  readonly event: EventId;
  readonly trainer: Pubkey;
  readonly shard: number;
  /**
   * `grant-bad`: the trainer says so; `not-started`: the customer; `absent`: the customer, though no `ready` is at hand;
   * `claim-bad`: the customer, of a claim that it says seals no invoice; `complaint`: a participant, of scores or of a `fraud`, whose
   * author is named as `trainer`; `segment`: a trainer, of a proof against it, with what drawn validators say.
   */
  readonly rule: 'grant-bad' | 'not-started' | 'absent' | 'claim-bad' | 'complaint' | 'segment';
  readonly detail: string;
}

/** What was sent sealed is known to sender and receiver only: grants first, in the order of the customer's chain, then claims. */
export function disputes(state: JobState): Dispute[] {
  const segments = describeDisputes(state).map((one): Dispute => {
    const { complaint, trainer, shard, segment, round } = one;
    const detail = `segment ${segment} of round ${round + 1}: ${disputeText(one)}`;
    return { event: complaint, trainer, shard, rule: 'segment', detail };
  });
  const others = complaints(state).filter(({ event }) => !segments.some((one) => one.event === event));
  return [...grantDisputes(state), ...state.rounds.flatMap(claimDisputes), ...others, ...segments];
}

/** Of participants only, in order of their keys: anybody may publish one. How many validators on one engine say the same tells much. */
function complaints({ chains, rounds, job, frauds, validators }: JobState): Dispute[] {
  const people = new Set([...validators.map(({ validator }) => validator), ...rounds.flatMap(trainersOf)]);
  const all = [...chains.values()]
    .filter(({ author }) => people.has(author))
    .flatMap(({ events }) => events.filter((event) => event.type === 'complaint'));
  const spell = ({ content: { subject, engine, shard, found } }: (typeof all)[number]) =>
    JSON.stringify([subject, engine, shard, found]);
  return all.flatMap((event) => {
    const { subject, shard, found, engine, detail } = event.content;
    const accused = [
      ...rounds.flatMap(({ listedScoreReveals }) => [...listedScoreReveals.values()]),
      ...frauds.values(),
    ].find(({ id }) => id === subject)?.author;
    if (accused === undefined && !rounds.some(({ scores }) => scores?.id === subject)) return [];
    const agree = all.filter((other) => spell(other) === spell(event)).length;
    const what =
      found.what === 'score' ? `${found.field} is ${found.ppm} ppm` : `segment ${found.segment} ends in ${found.hash}`;
    const text = `${event.author.slice(0, 16)} says that ${what} on ${engine}${agree > 1 ? `, as ${agree} do` : ''}: ${detail}`;
    return [{ event: event.id, trainer: accused ?? job!.author, shard, rule: 'complaint' as const, detail: text }];
  });
}

const trainersOf = ({ assigned }: RoundState) => assigned.map(({ trainer }) => trainer);

function claimDisputes({ assigned, payouts }: RoundState): Dispute[] {
  return payouts.flatMap(({ payee, refused }) =>
    refused
      .filter(({ notice }) => notice.content.rule === 'sealed')
      .map(({ notice }) => {
        const shard = assigned.find(({ trainer }) => trainer === payee)?.shard ?? 0;
        return { event: notice.id, trainer: payee, shard, rule: 'claim-bad', detail: notice.content.detail } as const;
      }),
  );
}

function grantDisputes(state: JobState): Dispute[] {
  const found: Dispute[] = [];
  const spine = state.job === null ? [] : (state.chains.get(state.job.author)?.events ?? []);
  const taken = replacements(state);
  for (const event of spine) {
    const seats =
      event.type === 'award'
        ? event.content.winners
        : event.type === 'replace' && event.content.in !== null
          ? [{ ...event.content.in, shard: event.content.shard }]
          : [];
    for (const { trainer, shard } of seats) {
      const answers = state.chains.get(trainer)?.events ?? [];
      const isMine = (other: { readonly content: { readonly award: EventId; readonly shard: number } }) =>
        other.content.award === event.id && other.content.shard === shard;
      const bad = answers.find((other) => other.type === 'grant-bad' && isMine(other)) as
        EventOf<'grant-bad'> | undefined;
      const isReady = answers.some((other) => other.type === 'ready' && isMine(other));
      const end = taken.find((one) => one.award === event.id && one.event.content.shard === shard);
      if (bad !== undefined) {
        const { rule, detail } = bad.content;
        found.push({ event: bad.id, trainer, shard, rule: 'grant-bad', detail: `${rule}: ${detail}` });
      } else if (end?.event.content.reason === 'not-started')
        found.push({
          ...{ event: end.event.id, trainer, shard, rule: 'not-started' },
          detail: isReady ? 'it answered ready' : 'it answered nothing; only it knows whether its grant came',
        });
      else if (end?.event.content.reason === 'absent' && !isReady)
        found.push({
          ...{ event: end.event.id, trainer, shard, rule: 'absent' },
          detail: 'no ready of it is at hand: such a trainer is not started, never absent',
        });
    }
  }
  return found;
}
