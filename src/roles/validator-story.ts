import type { Pubkey } from '../hash.js';
import { isPassedOver } from '../market/seat-draw.js';
import type { JobState, RoundState } from '../market/state.js';

/** One line of what happened to a validator in a job; `key` tells it from all others. */
export interface ValidatorLine {
  readonly key: string;
  readonly event:
    'registered' | 'taken' | 'round' | 'committed' | 'revealed' | 'missed' | 'drawn' | 'verdict' | 'paid' | 'unpaid';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const sats = (msat: bigint) => `${msat / 1000n} sat`;

/** From the fold alone, so that a restarted validator tells the same story. */
export function validatorStory(state: JobState, me: Pubkey): readonly ValidatorLine[] {
  const story: ValidatorLine[] = [];
  const feeMsat = state.job?.content.validators?.feeMsat ?? 0n;
  const registered = state.chains.get(me)?.events.find(({ type }) => type === 'register');
  if (registered?.type === 'register')
    story.push({
      ...{ key: 'registered', event: 'registered', fields: { register: registered.id, feeMsat } },
      text: `registered, for ${sats(feeMsat)} per round`,
    });
  if (state.validators.some(({ validator }) => validator === me))
    story.push({
      ...{ key: 'taken', event: 'taken', fields: { rounds: state.job!.content.rounds, feeMsat } },
      text: 'taken as a validator',
    });
  return [...story, ...state.rounds.flatMap((round) => roundStory(state, round, me)), ...disputeStory(state, me)];
}

function disputeStory({ disputes }: JobState, me: Pubkey): ValidatorLine[] {
  return disputes.flatMap(({ fraud, draw, order, verdicts }): ValidatorLine[] => {
    const place = order?.indexOf(me) ?? -1;
    if (draw === null || place < 0) return [];
    const { round, shard, segment, committed } = fraud.content;
    const name = `segment ${segment} of shard ${shard}, round ${round + 1}`;
    const fields = { round, shard, segment };
    const verdict = verdicts.find(({ author }) => author === me);
    const words = verdict?.content.hash === committed ? 'as its trainer committed' : 'not as its trainer committed';
    return [
      {
        ...{ key: `drawn/${draw.id}`, event: 'drawn', fields: { ...fields, draw: draw.id, place: place + 1 } },
        text: `drawn as number ${place + 1} to repeat ${name}`,
      },
      ...(verdict === undefined
        ? []
        : [
            {
              ...{
                key: `verdict/${draw.id}`,
                event: 'verdict' as const,
                fields: { ...fields, hash: verdict.content.hash },
              },
              text: `repeated ${name}: it ends ${words}`,
            },
          ]),
    ];
  });
}

/** Of stakes that others lost. */
export function bonusLine(round: number, amountMsat: bigint) {
  return {
    ...{ key: `paid/${round}/bonus`, event: 'paid' as const, fields: { round, amountMsat } },
    text: `paid ${sats(amountMsat)} of what was slashed`,
  };
}

function roundStory(state: JobState, round: RoundState, me: Pubkey): ValidatorLine[] {
  if (!round.validators.some(({ validator }) => validator === me)) return [];
  const { round: index } = round;
  const name = `round ${index + 1} of ${state.job!.content.rounds}`;
  const story: ValidatorLine[] = [];
  const tell = (event: ValidatorLine['event'], fields: ValidatorLine['fields'], text: string): void => {
    story.push({ key: `${event}/${index}`, event, fields: { round: index, ...fields }, text: `${name}: ${text}` });
  };
  tell('round', {}, 'opened');
  const commit = round.scoreCommits.get(me);
  if (commit !== undefined) tell('committed', { commitment: commit.content.commitment }, 'committed to scores');
  const scores = round.scoreReveals.get(me);
  if (scores !== undefined)
    tell(
      'revealed',
      { scores: scores.content.scores.length },
      `revealed scores of ${scores.content.scores.length} updates`,
    );
  const isOwed = !isPassedOver(round, me);
  if (isOwed && round.scoreRevealList !== null && !round.listedScoreReveals.has(me))
    tell('missed', {}, 'no scores of it count');
  for (const { payee, amountMsat, received, unpaid, purpose } of round.payouts) {
    if (payee !== me) continue;
    if (received !== null && purpose === 'bonus') story.push(bonusLine(index, amountMsat));
    else if (received !== null) tell('paid', { amountMsat }, `paid ${sats(amountMsat)}`);
    else if (unpaid !== null) tell('unpaid', { amountMsat }, `${sats(amountMsat)} are not paid`);
  }
  return story;
}
