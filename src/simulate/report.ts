import type { Pubkey } from '../hash.js';
import type { JobState, RoundState } from '../market/state.js';
import { openSealedUpdate } from '../roles/measure.js';
import type { Attack } from './attacks.js';
import type { SimulatedMarket } from './market.js';

/** One round, as rounds.csv has it: docs/simulate.md. Null: nothing was measured. */
export interface RoundRow {
  /** From 1. */
  readonly round: number;
  readonly accuracy: number | null;
  readonly loss: number | null;
  readonly accepted: number;
  readonly rejected: number;
  readonly uploadBytes: number;
  readonly relayBytes: number;
  readonly events: number;
  readonly paidSats: number;
  readonly honestPaidSats: number;
  readonly attackerPaidSats: number;
  readonly virtualSeconds: number;
}

/** Of all trainers that behave alike. */
export interface ClassRow {
  readonly class: 'honest' | Attack;
  readonly trainers: number;
  /** Of them had a seat in any round. */
  readonly seated: number;
  readonly accepted: number;
  /** Updates that were not accepted, by rule; `void`: the round had too few. */
  readonly rejected: Readonly<Record<string, number>>;
  /** Proven forgers among them. */
  readonly barred: number;
  readonly paidSats: number;
}

/** Of all validators. */
export interface ValidatorsRow {
  readonly validators: number;
  /** Taken by the award. */
  readonly seated: number;
  /** Sheets of scores that counted; and rounds in which too few did, so that the customer's own count. */
  readonly scored: number;
  readonly fallbacks: number;
  /** Proven liars among them. */
  readonly barred: number;
  readonly paidSats: number;
}

export interface Report {
  readonly rounds: readonly RoundRow[];
  readonly classes: readonly ClassRow[];
  /** Absent: the job has none. */
  readonly validators?: ValidatorsRow;
  /** Before the first round: dataset, job, bids, award. */
  readonly setup: { readonly events: number; readonly relayBytes: number };
  readonly total: {
    readonly events: number;
    readonly uploadBytes: number;
    readonly relayBytes: number;
    /** What all participants got of the relay. */
    readonly downloadBytes: number;
    readonly paidSats: number;
    readonly virtualSeconds: number;
  };
}

const CSV_COLUMNS = [
  'round',
  'accuracy',
  'loss',
  'accepted',
  'rejected',
  'uploadBytes',
  'relayBytes',
  'events',
  'paidSats',
  'honestPaidSats',
  'attackerPaidSats',
  'virtualSeconds',
] as const satisfies readonly (keyof RoundRow)[];

export function roundsCsv(rows: readonly RoundRow[]): string {
  const lines = rows.map((row) => CSV_COLUMNS.map((name) => row[name] ?? '').join(','));
  return [CSV_COLUMNS.join(','), ...lines, ''].join('\n');
}

const MSAT = 1_000n;

/** Who of the round's seats was not accepted, and why. */
function rejectionsOf(round: RoundState): readonly { readonly trainer: Pubkey; readonly rule: string }[] {
  if (round.close !== null) return round.close.content.rejected;
  return round.assigned.map(({ trainer }) => ({ trainer, rule: 'void' }));
}

const paidIn = (round: RoundState, counts: (trainer: Pubkey) => boolean): number =>
  Number(
    round.payouts.reduce(
      (sum, { receipt, payee, amountMsat }) => (receipt !== null && counts(payee) ? sum + amountMsat : sum),
      0n,
    ) / MSAT,
  );

/** Sealed and packed bytes of the updates that were revealed. */
async function uploadBytes({ customer }: SimulatedMarket, { reveals }: RoundState): Promise<number> {
  let sum = 0;
  for (const reveal of reveals.values()) sum += (await openSealedUpdate(customer.signer, reveal)).pointer.packed;
  return sum;
}

export async function reportOf(market: SimulatedMarket): Promise<Report> {
  const { state, attackOf, traffic, virtualSeconds } = market;
  const isHonest = (payee: Pubkey) => attackOf.get(payee) === null;
  const isAttacker = (payee: Pubkey) => attackOf.has(payee) && !isHonest(payee);
  const rounds: RoundRow[] = [];
  for (const round of state.rounds) {
    const { events, relayBytes, openedMs, closedMs } = traffic.rounds[round.round]!;
    const { lossPpm = null, accuracyPpm = null, accepted = [] } = round.close?.content ?? {};
    rounds.push({
      round: round.round + 1,
      accuracy: accuracyPpm === null ? null : accuracyPpm / 1e6,
      loss: lossPpm === null ? null : lossPpm / 1e6,
      accepted: accepted.length,
      rejected: rejectionsOf(round).length,
      uploadBytes: await uploadBytes(market, round),
      ...{ relayBytes, events },
      paidSats: paidIn(round, () => true),
      honestPaidSats: paidIn(round, isHonest),
      attackerPaidSats: paidIn(round, isAttacker),
      virtualSeconds: ((closedMs ?? openedMs) - openedMs) / 1000,
    });
  }
  const sum = (name: 'events' | 'uploadBytes' | 'relayBytes' | 'paidSats') =>
    rounds.reduce((total, row) => total + row[name], 0);
  const { setup } = traffic;
  return {
    rounds,
    classes: classesOf(state, attackOf),
    ...(market.validators.length > 0 && { validators: validatorsOf(market) }),
    setup: { events: setup.events, relayBytes: setup.relayBytes },
    total: {
      events: setup.events + sum('events'),
      uploadBytes: sum('uploadBytes'),
      relayBytes: setup.relayBytes + sum('relayBytes'),
      downloadBytes: [setup, ...traffic.rounds].reduce((total, one) => total + one.deliveredBytes, 0),
      paidSats: sum('paidSats'),
      virtualSeconds,
    },
  };
}

function validatorsOf({ state, validators }: SimulatedMarket): ValidatorsRow {
  const { rounds, validatorFrauds } = state;
  const keys = new Set(validators.map(({ signer }) => signer.pubkey));
  return {
    validators: keys.size,
    seated: state.validators.length,
    scored: rounds.reduce((sum, { listedScoreReveals }) => sum + listedScoreReveals.size, 0),
    fallbacks: rounds.filter(({ verdict }) => verdict?.from === 'customer').length,
    barred: [...validatorFrauds.keys()].filter((key) => keys.has(key)).length,
    paidSats: rounds.reduce((sum, round) => sum + paidIn(round, (payee) => keys.has(payee)), 0),
  };
}

function classesOf({ rounds, frauds }: JobState, attackOf: SimulatedMarket['attackOf']): ClassRow[] {
  const names = new Set([...attackOf.values()].map((attack) => attack ?? 'honest'));
  const order = [...names].sort((a, b) => (a === 'honest' ? -1 : b === 'honest' ? 1 : a < b ? -1 : 1));
  return order.map((name) => {
    const members = new Set([...attackOf].flatMap(([key, attack]) => ((attack ?? 'honest') === name ? key : [])));
    const isMember = ({ trainer }: { readonly trainer: Pubkey }) => members.has(trainer);
    const rejected: Record<string, number> = {};
    for (const { rule } of rounds.flatMap(rejectionsOf).filter(isMember)) rejected[rule] = (rejected[rule] ?? 0) + 1;
    return {
      class: name,
      trainers: members.size,
      seated: new Set(rounds.flatMap(({ assigned }) => assigned.filter(isMember)).map(({ trainer }) => trainer)).size,
      accepted: rounds.reduce((sum, { close }) => sum + (close?.content.accepted.filter(isMember).length ?? 0), 0),
      rejected: Object.fromEntries(Object.entries(rejected).sort(([a], [b]) => (a < b ? -1 : 1))),
      barred: [...frauds.keys()].filter((trainer) => members.has(trainer)).length,
      paidSats: rounds.reduce((sum, round) => sum + paidIn(round, (trainer) => members.has(trainer)), 0),
    };
  });
}
