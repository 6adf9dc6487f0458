import type { Pubkey } from '../../hash.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import type { ArenaStage } from '../../market/arena/state.js';
import { stageName } from './worker-decide.js';

/** What happened to a trainer or validator in an arena, from the fold alone: whoever starts again tells the same. */

export interface ArenaLine {
  readonly key: string;
  readonly event: 'entered' | 'submitted' | 'listed' | 'drawn' | 'scored' | 'ranked' | 'unranked' | 'paid' | 'unpaid';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const sats = (msat: bigint) => `${msat / 1000n} sat`;

export function arenaStory({ chains, state }: FoldedArena, me: Pubkey): readonly ArenaLine[] {
  const story: ArenaLine[] = [];
  for (const event of chains.get(me)?.events ?? []) {
    if (event.type === 'enter')
      story.push({ key: 'enter', event: 'entered', fields: {}, text: 'asked for the training set' });
    if (event.type === 'submit')
      story.push({
        key: event.id,
        event: 'submitted',
        fields: { stage: event.content.stage, submission: event.id },
        text: `submitted a model to ${stageName(event.content.stage)}`,
      });
  }
  return [...story, ...(state?.stages ?? []).flatMap((stage) => stageStory(stage, me))];
}

function stageStory(stage: ArenaStage, me: Pubkey): readonly ArenaLine[] {
  const story: ArenaLine[] = [];
  const name = stageName(stage.stage);
  const about = { stage: stage.stage };
  if (stage.submissions.has(me))
    story.push({
      key: `${stage.stage}/listed`,
      event: 'listed',
      fields: about,
      text: `${name}: the submission counts`,
    });
  for (const { draw, seats, reveals } of stage.rounds) {
    const mine = seats.get(me);
    if (mine === undefined) continue;
    const fields = { ...about, models: mine.length };
    story.push({ key: draw.id, event: 'drawn', fields, text: `${name}: ${mine.length} models to score` });
    if (reveals.has(me))
      story.push({ key: `${draw.id}/scored`, event: 'scored', fields, text: `${name}: scores revealed` });
  }
  if (stage.ranking !== null && stage.submissions.has(me)) {
    const at = stage.ranks.findIndex(({ trainer }) => trainer === me);
    const row = stage.ranks[at];
    const key = `${stage.stage}/ranked`;
    story.push(
      row === undefined
        ? { key, event: 'unranked', fields: about, text: `${name}: the model has no rank` }
        : {
            ...{
              key,
              event: 'ranked',
              fields: { ...about, rank: at + 1, of: stage.ranks.length, scorePpm: row.scorePpm },
            },
            text: `${name}: rank ${at + 1} of ${stage.ranks.length}, loss ${(row.scorePpm / 1e6).toFixed(4)}`,
          },
    );
  }
  for (const { payee, payout, purpose, amountMsat, received, unpaid } of stage.payouts) {
    if (payee !== me) continue;
    const fields = { ...about, purpose, amountMsat };
    if (received !== null)
      story.push({ key: `${payout}/paid`, event: 'paid', fields, text: `${name}: paid ${sats(amountMsat)}` });
    else if (unpaid !== null)
      story.push({
        key: `${payout}/unpaid`,
        event: 'unpaid',
        fields,
        text: `${name}: ${sats(amountMsat)} not paid in time`,
      });
  }
  return story;
}
