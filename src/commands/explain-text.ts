import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { stageName } from '../market/arena/describe.js';
import type { Cited } from '../market/explain.js';
import { ROLES, type RatedRole } from '../market/reputation.js';
import { sats } from './status-tables.js';

/** What `explain` says, for people: a line per cause, and below it the events it follows from. */

const short = (id: string) => `${id.slice(0, 12)}…`;

function eventLines(events: readonly Cited[]): string[] {
  return events.map(({ id, kind, type, author }) => `      ${kind} ${type} ${short(id)} by ${short(author)}`);
}

const signed = (points: number) => `${points < 0 ? '' : '+'}${points.toFixed(3)}`;

interface Rated {
  readonly rating: number;
  readonly mu: number;
  readonly sigma: number;
  readonly causes: readonly {
    readonly job: EventId;
    readonly what: string;
    readonly points: number;
    readonly events: readonly Cited[];
  }[];
}

export function ratingText(value: { readonly npub: string } & Readonly<Record<RatedRole, Rated>>): string {
  const roles = ROLES.filter((role) => value[role].causes.length > 0);
  if (roles.length === 0) return `${value.npub}: a new key, rated 0`;
  return roles
    .flatMap((role) => {
      const { rating, mu, sigma, causes } = value[role];
      return [
        `${value.npub} as ${role}: ${rating.toFixed(3)} (mu ${mu.toFixed(3)} - 3 x sigma ${sigma.toFixed(3)}, at least 0)`,
        ...causes.flatMap(({ job, what, points, events }) => [
          `  ${signed(points)}  job ${short(job)}, ${what}`,
          ...eventLines(events),
        ]),
      ];
    })
    .join('\n');
}

export function awardText(value: {
  readonly job: EventId;
  readonly award: readonly {
    readonly rank: number | null;
    readonly trainer: Pubkey;
    readonly outcome: string;
    readonly shards: readonly number[];
    readonly what: string;
    readonly events: readonly Cited[];
  }[];
  readonly payouts: readonly PayoutRow[];
}): string {
  const bids = value.award.flatMap(({ rank, trainer, outcome, shards, what, events }) => {
    const held = shards.length === 0 ? '' : `, shard ${shards.join(' and ')}`;
    return [`  ${rank ?? '-'}  ${short(trainer)} ${outcome}${held}: ${what}`, ...eventLines(events)];
  });
  return [
    `job ${value.job}`,
    bids.length === 0 ? 'not awarded yet' : 'award, best offer first:',
    ...bids,
    ...payoutLines(value.payouts, (round) => `round ${round + 1}`),
  ].join('\n');
}

interface PayoutRow {
  readonly payout: Sha256;
  readonly round: number;
  readonly payee: Pubkey;
  readonly amountMsat: bigint;
  readonly state: string;
}

function payoutLines(payouts: readonly PayoutRow[], nameOf: (round: number) => string): string[] {
  const lines = payouts.map(
    ({ payout, round, payee, amountMsat, state }) =>
      `  ${nameOf(round)}: ${sats(amountMsat)} to ${short(payee)}, ${state}, payout ${payout}`,
  );
  return lines.length === 0 ? [] : ['payouts:', ...lines];
}

export const nameOfStage = (stage: number) => `${stageName(stage)} stage`;

export function arenaText({ job, payouts }: { readonly job: EventId; readonly payouts: readonly PayoutRow[] }): string {
  const lines = payoutLines(payouts, nameOfStage);
  return [`arena ${job}`, ...(lines.length === 0 ? ['nothing is settled yet'] : lines)].join('\n');
}

export function payoutText(
  value: {
    readonly payout: Sha256;
    readonly round: number;
    readonly payee: Pubkey;
    readonly amountMsat: bigint;
    readonly state: string;
    readonly causes: readonly {
      readonly what: string;
      readonly msat: bigint | null;
      readonly events: readonly Cited[];
    }[];
  },
  nameOf = (round: number) => `round ${round + 1}`,
): string {
  const { payout, amountMsat, payee, round, state, causes } = value;
  return [
    `payout ${payout}`,
    `  ${amountMsat} msat to ${payee} for ${nameOf(round)}, ${state}`,
    ...causes.flatMap(({ what, msat, events }) => [
      `  ${msat === null ? 'then' : `+${msat} msat`}  ${what}`,
      ...eventLines(events),
    ]),
  ].join('\n');
}
