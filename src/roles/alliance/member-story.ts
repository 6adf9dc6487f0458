import type { Pubkey } from '../../hash.js';
import type { FoldedAlliance } from '../../market/alliance/fold.js';
import { settlementsOf } from '../../market/alliance/settle-rules.js';
import type { AllianceRoundState } from '../../market/alliance/state.js';
import { settledLines, type StoryLine } from '../trainer-story.js';

/** From the fold alone, so that a restarted member tells the same story. */
export function memberStory({ state, chains }: FoldedAlliance, me: Pubkey): readonly StoryLine[] {
  const registered = chains.get(me)?.events.find(({ type }) => type === 'register');
  if (state === null || registered === undefined) return [];
  const rounds = state.job.content.rounds;
  return [
    { key: 'registered', event: 'registered', fields: { register: registered.id }, text: 'joined the alliance' },
    ...state.rounds.filter(({ members }) => members.has(me)).flatMap((round) => roundStory(round, rounds, me)),
  ];
}

function roundStory(of: AllianceRoundState, rounds: number, me: Pubkey): StoryLine[] {
  const { round, roles, proposals, votes, tally, payouts } = of;
  const story: StoryLine[] = [];
  const tell = (event: StoryLine['event'], fields: StoryLine['fields'], text: string): void => {
    const name = `round ${round + 1} of ${rounds}`;
    story.push({ key: `${event}/${round}`, event, fields: { round, ...fields }, text: `${name}: ${text}` });
  };
  if (roles?.state === 'too-few') tell('round', { role: null }, `${roles.joined} of ${roles.needed} members`);
  if (roles?.state === 'drawn') {
    const role = roles.proposers.includes(me) ? 'proposer' : roles.voters.includes(me) ? 'voter' : null;
    tell('round', { role }, role === null ? 'without a part: its nonce was not opened' : `drawn as a ${role}`);
  }
  if (proposals?.by.has(me) === true) tell('revealed', {}, 'proposal revealed');
  const vote = votes?.by.get(me)?.content;
  if (vote !== undefined) {
    const { beforePpm, afterPpm } = vote;
    const losses = `${(beforePpm / 1e6).toFixed(4)} before, ${(afterPpm / 1e6).toFixed(4)} with the aggregate`;
    tell(
      'voted',
      { vote: vote.vote, beforePpm, afterPpm },
      `voted ${vote.vote === 1 ? 'for' : 'against'} it: loss ${losses}`,
    );
  }
  if (tally !== null && settlementsOf(of).length > 0) {
    const { isAccepted, aggregate } = tally;
    const why = tally.offSide.get(me);
    const fields = { accepted: isAccepted, aggregate, ...(why !== undefined && { offSide: why }) };
    const word = isAccepted ? 'the aggregate is the model now' : 'the model before stays';
    tell('settled', fields, why === undefined ? word : `${word}; this vote earns nothing (${why})`);
  }
  return [...story, ...settledLines(payouts, round, rounds, me)];
}
