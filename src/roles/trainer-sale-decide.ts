import type { Pubkey } from '../hash.js';
import { scorersOf } from '../market/score-rules.js';
import type { JobState, RoundState } from '../market/state.js';

/** What a trainer on rail `key-sale` has to do beside training. Pure. */

/** Validators that score this trainer's listed update and have not committed to their scores. */
export function waitingForKey(state: JobState, round: RoundState, me: Pubkey): readonly Pubkey[] {
  const terms = state.job!.content;
  if (terms.rail !== 'key-sale' || state.phase !== 'scoring' || round.scoreCommitList !== null) return [];
  if (![...round.listedReveals.values()].some(({ author }) => author === me)) return [];
  return scorersOf(terms, round)
    .filter(({ validator }) => !round.scoreCommits.has(validator))
    .map(({ validator }) => validator);
}

/** A round whose sale ended without this trainer's accepted update. */
export function unsoldRound(
  state: JobState,
  me: Pubkey,
  isEnded: (round: RoundState) => boolean,
): RoundState | undefined {
  return state.rounds.find((round) => isUnsold(round, me) && !isEnded(round));
}

function isUnsold({ close, sold, payouts }: RoundState, me: Pubkey): boolean {
  if (sold === null || !close!.content.accepted.some(({ trainer }) => trainer === me)) return false;
  const isPaid = payouts.some(
    ({ payee, purpose, receipt }) => payee === me && purpose === 'trainer' && receipt !== null,
  );
  return !isPaid;
}

/** An offer that the customer neither took nor refused before it ended the sale: its trainer trains for it no more. */
export function spurnedRound(state: JobState, me: Pubkey): RoundState | undefined {
  const claims = (state.chains.get(me)?.events ?? []).filter((event) => event.type === 'claim');
  const refused = new Set(
    (state.chains.get(state.job!.author)?.events ?? []).map(
      (event) => event.type === 'claim-bad' && event.content.claim,
    ),
  );
  return state.rounds.find(
    (round) =>
      isUnsold(round, me) &&
      claims.some(({ id, content }) => content.settlement === round.settlement?.id && !refused.has(id)),
  );
}
