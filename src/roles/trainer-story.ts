import type { Pubkey } from '../hash.js';
import { describeDisputes, disputeText } from '../market/describe-disputes.js';
import type { AnyPayout, JobState, RoundState } from '../market/state.js';
import { bonusLine } from './validator-story.js';

/** One line of what happened to a trainer in a job; `key` tells it from all others. */
export interface StoryLine {
  readonly key: string;
  readonly event:
    | 'bid'
    | 'registered'
    | 'voted'
    | 'settled'
    | 'awarded'
    | 'round'
    | 'committed'
    | 'revealed'
    | 'accepted'
    | 'rejected'
    | 'accused'
    | 'decided'
    | 'paid'
    | 'unpaid'
    | 'claim-refused';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const sats = (msat: bigint) => `${msat / 1000n} sat`;

/** From the fold alone, so that a restarted trainer tells the same story. In the order things happen within a round. */
export function trainerStory(state: JobState, me: Pubkey): readonly StoryLine[] {
  const story: StoryLine[] = [];
  const rounds = state.job?.content.rounds ?? 0;
  const bid = state.chains.get(me)?.events.find((event) => event.type === 'bid' || event.type === 'sealed-bid');
  if (bid?.type === 'sealed-bid')
    story.push({
      key: 'bid',
      event: 'bid',
      fields: { bid: bid.id, sealed: true },
      text: 'bid, sealed to the customer',
    });
  if (bid?.type === 'bid') {
    const { priceMsat, capacity } = bid.content;
    story.push({
      key: 'bid',
      event: 'bid',
      fields: { bid: bid.id, priceMsat, shards: capacity },
      text: `bid ${sats(priceMsat)} per round${capacity > 1 ? `, for up to ${capacity} shards` : ''}`,
    });
  }
  const seats = [...state.rounds.flatMap((round) => round.assigned), ...state.assignments.values()].filter(
    (seat) => seat.trainer === me,
  );
  for (const { award, shard, priceMsat } of new Map(
    seats.map((seat) => [`${seat.award}/${seat.shard}`, seat]),
  ).values())
    story.push({
      key: `awarded/${award}/${shard}`,
      event: 'awarded',
      fields: { shard, priceMsat, rounds },
      text: `awarded shard ${shard}`,
    });
  for (const round of state.rounds)
    if (round.assigned.some((seat) => seat.trainer === me)) story.push(...roundStory(round, rounds, me));
  story.push(...accusations(state, me));
  return story;
}

/** What the customer calls forged, and what validators that repeat it say. */
function accusations(state: JobState, me: Pubkey): StoryLine[] {
  const fraud = state.frauds.get(me);
  if (fraud === undefined) return [];
  const { round, shard, segment } = fraud.content;
  const name = `round ${round + 1} of ${state.job!.content.rounds}`;
  const accused: StoryLine = {
    ...{ key: `accused/${fraud.id}`, event: 'accused', fields: { round, shard, segment, fraud: fraud.id } },
    text: `${name}: the customer says that segment ${segment} of shard ${shard} was not trained as committed`,
  };
  const dispute = describeDisputes(state).find((one) => one.trainer === me);
  if (dispute?.right == null) return [accused];
  const { right, owedMsat } = dispute;
  return [
    accused,
    {
      ...{ key: `decided/${fraud.id}/${right}`, event: 'decided' },
      fields: { round, shard, segment, right, owedMsat },
      text: `${name}: segment ${segment}: ${disputeText(dispute)}`,
    },
  ];
}

function roundStory(state: RoundState, rounds: number, me: Pubkey): StoryLine[] {
  const { round } = state;
  const name = `round ${round + 1} of ${rounds}`;
  const story: StoryLine[] = [];
  const tell = (event: StoryLine['event'], fields: Readonly<Record<string, unknown>>, text: string): void => {
    story.push({ key: `${event}/${round}`, event, fields: { round, ...fields }, text: `${name}: ${text}` });
  };
  tell('round', {}, 'opened');
  const shards = state.assigned.filter((seat) => seat.trainer === me).map(({ shard }) => shard);
  const tellSeat = (event: StoryLine['event'], shard: number, fields: StoryLine['fields'], text: string): void => {
    const of = shards.length > 1 ? `shard ${shard} ${text}` : text;
    story.push({
      key: `${event}/${round}/${shard}`,
      event,
      fields: { round, shard, ...fields },
      text: `${name}: ${of}`,
    });
  };
  for (const shard of shards) {
    const commit = state.commits.get(shard);
    if (commit !== undefined) tellSeat('committed', shard, { commitment: commit.content.commitment }, 'committed');
  }
  for (const shard of shards) if (state.reveals.has(shard)) tellSeat('revealed', shard, {}, 'revealed');
  for (const { trainer, shard } of state.close?.content.accepted ?? [])
    if (trainer === me) tellSeat('accepted', shard, {}, 'accepted');
  for (const { trainer, shard, rule, detail } of state.close?.content.rejected ?? [])
    if (trainer === me) tellSeat('rejected', shard, { rule, detail }, `rejected (${rule}: ${detail})`);
  return [...story, ...settledLines(state.payouts, round, rounds, me)];
}

/** What became of the settlements of a round, in a job of any kind. */
export function settledLines(payouts: readonly AnyPayout[], round: number, rounds: number, me: Pubkey): StoryLine[] {
  const name = `round ${round + 1} of ${rounds}`;
  const story: StoryLine[] = [];
  const tell = (event: StoryLine['event'], amountMsat: bigint, text: string): void => {
    story.push({ key: `${event}/${round}`, event, fields: { round, amountMsat }, text: `${name}: ${text}` });
  };
  for (const { payee, purpose, amountMsat, received, unpaid, refused } of payouts) {
    if (payee !== me) continue;
    for (const { notice } of refused)
      story.push({
        key: `claim-refused/${notice.id}`,
        event: 'claim-refused',
        fields: { round, rule: notice.content.rule, detail: notice.content.detail },
        text: `${name}: the customer refuses the invoice of this wallet (${notice.content.rule}: ${notice.content.detail})`,
      });
    if (received !== null && purpose === 'bonus') story.push(bonusLine(round, amountMsat));
    else if (received !== null) tell('paid', amountMsat, `paid ${sats(amountMsat)}`);
    else if (unpaid !== null) tell('unpaid', amountMsat, `${sats(amountMsat)} are not paid`);
  }
  return story;
}
