import type { EventId, Pubkey } from '../../hash.js';
import type { JobEvent } from '../../protocol/events.js';
import { dueList, firstOf, isCommitOf, isProposalOf, isVoteCommitOf, isVoteOf } from './list-rules.js';
import { isNonceOf } from './open-rules.js';
import { endOf, lastRound, type AllianceState } from './state.js';

/** What the present step of a round waits for. */
export interface Awaited {
  readonly of: 'nonce' | 'commit' | 'reveal' | 'score-commit' | 'score-reveal';
  /** In order of keys. */
  readonly from: readonly Pubkey[];
  /** The first of each that counts, at hand, in order of keys. */
  readonly answers: ReadonlyMap<Pubkey, { readonly id: EventId; readonly createdAt: number }>;
  /** When the step began and when it ends, Unix seconds as the customer says. */
  readonly since: number;
  readonly until: number;
}

/** Null: no round is open, or it has ended. */
export function awaitedNow(state: AllianceState): Awaited | null {
  const round = lastRound(state);
  if (round === undefined || round.settlement !== null || endOf(round) !== null) return null;
  const { open, draw, roles, commits, proposals, voteCommits } = round;
  const answers = (fits: (event: JobEvent) => boolean) => {
    const found = firstOf(state, (event): event is JobEvent => fits(event));
    return new Map([...found].sort((a, b) => (a.author < b.author ? -1 : 1)).map((event) => [event.author, event]));
  };
  const step = (
    of: Awaited['of'],
    from: Iterable<Pubkey>,
    fits: (event: JobEvent) => boolean,
    { createdAt, content }: { readonly createdAt: number; readonly content: { readonly until: number | null } },
  ): Awaited => ({
    ...{ of, from: [...from].sort(), answers: answers(fits), since: createdAt },
    until: content.until ?? createdAt,
  });
  if (draw === null) return step('nonce', round.members.keys(), isNonceOf(round), open);
  const { proposers, voters } = roles?.state === 'drawn' ? roles : { proposers: [], voters: [] };
  const of = dueList(round);
  switch (of) {
    case 'commit':
      return step(of, proposers, isCommitOf(round), draw);
    case 'reveal':
      return step(of, commits!.by.keys(), isProposalOf(state, round), commits!.list);
    case 'score-commit':
      return step(of, voters, isVoteCommitOf(round), proposals!.list);
    case 'score-reveal':
      return step(of, voteCommits!.by.keys(), isVoteOf(state, round), voteCommits!.list);
  }
}
