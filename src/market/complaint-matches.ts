import type { EventId, Pubkey } from '../hash.js';
import { EVERY_RANK, type Match } from './matches.js';
import type { JobState } from './state.js';

/**
 * What participants hold against scores, or against a `fraud`, of a key: a loss against all, as far as the reader trusts who complains. Who is
 * right, no event decides, but of a `fraud` that drawn validators confirm. Each complainant counts once per event.
 */
export function complaintMatches(
  { jobId, chains, rounds, frauds, disputes, validators }: JobState,
  accused: Pubkey,
): Match[] {
  const subjects = new Set<EventId>();
  for (const { scores, listedScoreReveals } of rounds)
    for (const event of [...listedScoreReveals.values(), ...(scores === null ? [] : [scores])])
      if (event.author === accused) subjects.add(event.id);
  const isConfirmed = (id: EventId) => disputes.some(({ fraud, outcome }) => fraud.id === id && outcome === 'customer');
  for (const fraud of frauds.values()) if (fraud.author === accused && !isConfirmed(fraud.id)) subjects.add(fraud.id);
  const people = new Set([
    ...validators.map(({ validator }) => validator),
    ...rounds.flatMap(({ assigned }) => assigned.map(({ trainer }) => trainer)),
  ]);
  const said = new Set<string>();
  return [...chains.values()]
    .filter(({ author }) => people.has(author) && author !== accused)
    .flatMap(({ author, events }) =>
      events.flatMap((event): Match[] => {
        if (event.type !== 'complaint' || !subjects.has(event.content.subject)) return [];
        const { subject, round } = event.content;
        if (said.has(`${author} ${subject}`)) return [];
        said.add(`${author} ${subject}`);
        const place = { job: jobId, round, issuer: author, others: EVERY_RANK } as const;
        return [{ ...place, rank: 'proven', why: 'complaint', events: [event.id, subject] }];
      }),
    );
}
