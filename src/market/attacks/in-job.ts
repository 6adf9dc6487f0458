import { sha256, u32be } from '../../hash.js';
import { drawSeats } from '../stake-draw.js';
import { expectedLazyProfit, honestProfit, lazyProfits, type LazyJob } from './laziness.js';
import { numberedKey, percent, seedOf } from './row.js';
import { priceFactor } from './standing.js';

/** What attacks gain under the terms of one job. */

export interface AttackedJob extends Omit<LazyJob, 'trained' | 'passesFloor'> {
  /** Does every update have to reach a share of the round's median work? */
  readonly hasLeastWork: boolean;
  readonly validators: number;
  /** Of a validator, in each round. */
  readonly feeSat: number;
  /** What a validator has to lock, and loses with a proven lie; seats then go by stake. 0: they go by a hash of the key. */
  readonly validatorStakeSat: number;
  /** Only trainers that the customer paid before get a shard. */
  readonly isForKnown: boolean;
}

export interface JobAttack {
  readonly attack: string;
  readonly setting: string;
  /** Expected over the whole job, of whoever attacks: as agreed, and attacking. */
  readonly honestSat: number;
  readonly attackSat: number;
  /** What was played instead of computed; null: nothing is left to chance. */
  readonly measuredSat: number | null;
  readonly pays: boolean;
  /** What would have to change for it to pay no longer, or to begin to pay. */
  readonly breakEven: string;
}

/** @param seeds  10 or more, where chance decides */
export function attacksOnJob(job: AttackedJob, seeds: number): JobAttack[] {
  return [
    ...lazy(job, seeds),
    freeRider(job),
    ...(job.validators === 0 ? [] : [...collusions(job, seeds), sybilValidators(job), ...silences(job)]),
    ...newKeys(job),
    sybilCustomer(job),
  ];
}

function attack(
  [name, setting]: readonly [string, string],
  sats: Pick<JobAttack, 'honestSat' | 'attackSat'> & { readonly measuredSat?: number },
  breakEven: string,
): JobAttack {
  const pays = sats.attackSat > sats.honestSat + 1e-9;
  return { attack: name, setting, measuredSat: null, ...sats, pays, breakEven };
}

const sat = (value: number): string => `${value.toFixed(1)} sat`;

/** Of a tenth and of half of the steps, how many pass the work floor: docs/learning.md, 1,005 updates of each. */
const PASSING = { tenth: { with: 0.383, without: 0.991 }, half: { with: 0.996, without: 1 } } as const;

/** The least work that can be found out, and half of it. */
function lazy(job: AttackedJob, seeds: number): JobAttack[] {
  const half = Math.max(1, Math.floor(job.segments / 2));
  const kinds = [
    { trained: 1, passing: PASSING.tenth },
    ...(half > 1 ? [{ trained: half, passing: PASSING.half }] : []),
  ];
  return kinds.map(({ trained, passing }) => {
    const passesFloor = job.hasLeastWork ? passing.with : passing.without;
    const lazyJob = { ...job, trained, passesFloor };
    const { measured, computed } = lazyProfits(lazyJob, seeds);
    const what = trained === 1 ? 'one segment' : `${trained} segments`;
    return attack(
      [
        'lazy work',
        `${what} of ${job.segments} after an honest first round; ${percent(passesFloor)} pass the work floor`,
      ],
      { honestSat: honestProfit(job), attackSat: computed as number, measuredSat: measured as number },
      lazyBreakEven(lazyJob),
    );
  });
}

function lazyBreakEven(job: LazyJob): string {
  const gain = (rate: number, stakeSat: number) => expectedLazyProfit({ ...job, rate, stakeSat }) - honestProfit(job);
  if (gain(0, 0) <= 0) return job.costSat === 0 ? 'nothing is saved' : 'the work floor is enough';
  const rate =
    gain(1, job.stakeSat) >= 0 ? 'at every audit rate' : `audit rate ${percent(zeroOf((x) => gain(x, job.stakeSat)))}`;
  if (job.rate === 0) return `${rate}; without spot checks at any stake`;
  // Linear in the stake.
  const [without, per] = [gain(job.rate, 0), gain(job.rate, 0) - gain(job.rate, 1)];
  return without <= 0 || per <= 0 ? `${rate}; no stake needed` : `${rate}, or a stake of ${sat(without / per)}`;
}

/** Where a function that is positive at 0 and not at 1 crosses 0. */
function zeroOf(f: (x: number) => number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (f(middle) > 0) low = middle;
    else high = middle;
  }
  return high;
}

function freeRider(job: AttackedJob): JobAttack {
  return attack(
    ['idling, copying', 'no work: the base, or the bytes of another'],
    { honestSat: honestProfit(job), attackSat: 0 },
    `a price below the cost of ${sat(job.costSat)}`,
  );
}

/** More than half raise a score above every honest one. */
const majority = (seats: number): number => Math.floor(seats / 2) + 1;
/** For each seat. */
const KEYS = 20;
const DRAWS = 20;

/** Validators that let a friend be paid for nothing, and lose their fees where they are the minority. */
function collusions(job: AttackedJob, seeds: number): JobAttack[] {
  const crossing = gainOfLiars(job, 1e-6) > 0 ? 0 : zeroOf((share) => -gainOfLiars(job, share));
  return [0.1, 0.2, 0.3, 0.4].map((share) => {
    const setting = `${percent(share)} of the validators: a friend need not work; they lie always`;
    const measuredSat = playedLiars(job, share, seeds);
    const breakEven = crossing === 0 ? 'a fee or a stake: liars risk nothing' : `from ${percent(crossing)} of them on`;
    return attack(
      ['collusion', setting],
      { honestSat: 0, attackSat: gainOfLiars(job, share), measuredSat },
      job.validators > 1 ? breakEven : `one seat alone decides: ${breakEven}`,
    );
  });
}

/** What so many colluding seats bring, as if they were drawn once for the whole job. */
function ofSeats(job: AttackedJob, colluders: number): number {
  const { rounds, costSat, feeSat, validators, validatorStakeSat } = job;
  if (colluders >= majority(validators)) return rounds * costSat;
  return colluders === 0 ? 0 : -colluders * (rounds * feeSat + validatorStakeSat);
}

/** Each seat to a colluder with that chance: the share of many keys. */
function gainOfLiars(job: AttackedJob, share: number): number {
  let chances = [1]; // of 0, 1, 2 ... colluders among the seats so far
  for (let seat = 0; seat < job.validators; seat++) {
    const next = Array.from({ length: chances.length + 1 }, () => 0);
    chances.forEach((chance, k) => {
      next[k]! += chance * (1 - share);
      next[k + 1]! += chance * share;
    });
    chances = next;
  }
  return chances.reduce((sum, chance, colluders) => sum + chance * ofSeats(job, colluders), 0);
}

/** Seats drawn among keys of equal stake, 20 for each. */
function playedLiars(job: AttackedJob, share: number, seeds: number): number {
  const keys = KEYS * job.validators;
  const stakes = new Map(Array.from({ length: keys }, (_, i) => [numberedKey(i), 1n]));
  const bad = new Set(Array.from({ length: Math.round(share * keys) }, (_, i) => numberedKey(i)));
  let sum = 0;
  for (let n = 0; n < seeds; n++)
    for (let k = 0; k < DRAWS; k++) {
      const seats = drawSeats(sha256(seedOf('liars', n), u32be(k)), stakes, job.validators);
      sum += ofSeats(job, seats.filter((key) => bad.has(key)).length);
    }
  return sum / (seeds * DRAWS);
}

/** Where seats go by a hash of key and job, who makes keys until enough of them come first has the majority; by stake a key without one has none. */
function sybilValidators(job: AttackedJob): JobAttack {
  const seats = majority(job.validators);
  const isStaked = job.validatorStakeSat > 0;
  return attack(
    ['Sybil validators', `own keys, as many as it takes for ${seats} of ${job.validators} seats`],
    { honestSat: 0, attackSat: isStaked ? 0 : ofSeats(job, seats) },
    isStaked
      ? `the share of the stake that collusion needs, ${sat(job.validatorStakeSat)} a key`
      : 'a stake: keys cost nothing',
  );
}

function silences({ rounds, feeSat, rate }: AttackedJob): JobAttack[] {
  const lost = { honestSat: rounds * feeSat, attackSat: 0 };
  const why = 'never: what is withheld only costs the fee';
  return [
    ...(rate === 0
      ? []
      : [attack(['withheld nonces', 'a validator that does not know the secret of the customer'], lost, why)]),
    attack(['withheld reveals', 'a validator'], lost, why),
  ];
}

/** A key whose rounds were all accepted so far. */
const KNOWN = priceFactor(10, 10);

/** What may be asked under another key for the same place in the award. */
function newKeys(job: AttackedJob): JobAttack[] {
  const { rounds, costSat } = job;
  const honestSat = honestProfit(job);
  const price = job.isForKnown ? 0 : (job.priceSat * KNOWN) / priceFactor(0, 0);
  const attackSat = price === 0 ? 0 : rounds * (price - costSat);
  const setting = 'a new key instead of one with 10 accepted rounds, asking for the same rank';
  let failures = 0;
  while (priceFactor(10 + failures, 10) < priceFactor(0, 0)) failures++;
  return [
    attack(['whitewashing', setting], { honestSat, attackSat }, `from ${failures} failed rounds on nothing is lost`),
  ];
}

function sybilCustomer(job: AttackedJob): JobAttack {
  const sats = { honestSat: honestProfit(job), attackSat: honestProfit(job) };
  const setting = 'receipts of own jobs under other keys: the rank in this award stays';
  return attack(['Sybil customer', setting], sats, 'only with a customer whose receipts this one trusts');
}
