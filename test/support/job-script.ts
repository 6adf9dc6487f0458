import { sha256, sha256Hex, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import { contradictions } from '../../src/market/contradictions.js';
import { foldJob } from '../../src/market/fold.js';
import type { JobState } from '../../src/market/state.js';
import type { ContentOf, EventName, EventOf } from '../../src/protocol/events.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import { payoutId } from '../../src/protocol/settlement.js';
import { ChainScript, type ChainOptions } from './chain-script.js';
import {
  ENGINE,
  PRICE_MSAT,
  SCHEMA,
  TERMS,
  awardOf,
  closeOf,
  commitOf,
  drawOf,
  customer,
  grantOf,
  hashOf,
  people,
  pointerTo,
  revealOf,
  scoresOf,
  type Person,
} from './job-contents.js';
import { keyFraudOf, soldBy, soldOf } from './sale-contents.js';
import { inOrder, nonceOf, openingOf, registerOf, scoreCommitOf, seatOf } from './validator-contents.js';

/** A federated job from its first event to its last, without a network: fixed keys, fixed times, real signatures. */

export * from './job-contents.js';

export interface Seat {
  readonly shard: number;
  readonly who: Person;
  readonly priceMsat: bigint;
}

/** Steps are named `job`, `bid/1`, `award`, `ready/1`, `artifact`; in round 0 `open/0`, `commit/0/1`, `seen/0`, ... */
export interface ScriptOptions extends ChainOptions<JobScript> {
  /** Seats; everyone bids `priceMsat`. */
  readonly trainers?: number;
  /** Bidders beyond the seats. */
  readonly spares?: number;
  /** Who registers as validators, with a seat for each. */
  readonly validators?: number;
  readonly feeMsat?: bigint;
  /** What a validator measured, by its place in the order of seats; absent: the honest scores. */
  readonly sheets?: Readonly<Record<number, (honest: ContentOf<'scores'>) => ContentOf<'scores'>>>;
  readonly rounds?: number;
  readonly priceMsat?: bigint;
  readonly rail?: 'instalments' | 'key-sale' | 'none';
  /** Shards whose trainers sell another key than the one they signed, in every round. */
  readonly wrongKeys?: readonly number[];
  readonly terms?: Partial<ContentOf<'job'>>;
  /** The last step. */
  readonly until?: string;
}

class LastStep extends Error {}

export class JobScript extends ChainScript<ScriptOptions> {
  /** Who trains what from now on. */
  seats: Seat[] = [];
  modelHash = hashOf('model 0');

  constructor(options: ScriptOptions = {}) {
    super(options);
  }

  get state(): JobState {
    return foldJob(this.jobId, this.parsed);
  }

  override say<K extends EventName>(who: Person, type: K, step: string, content: ContentOf<K>): EventOf<K> | undefined {
    const one = super.say(who, type, step, content);
    if (one !== undefined && this.options.until === step) throw new LastStep();
    return one;
  }
}

export function scriptJob(options: ScriptOptions = {}): JobScript {
  const script = new JobScript(options);
  try {
    play(script);
  } catch (error) {
    if (!(error instanceof LastStep)) throw error;
  }
  return script;
}

function play(script: JobScript): void {
  const { trainers = 3, spares = 0, rounds = 2, rail = 'instalments', terms = {} } = script.options;
  const priceMsat = script.options.priceMsat ?? (rail === 'none' ? 0n : PRICE_MSAT);
  const maxPriceMsat = rail === 'none' ? 0n : TERMS.maxPriceMsat;
  const quorum = Math.ceil((2 * trainers) / 3);
  const { validators = 0, feeMsat = rail === 'none' ? 0n : 5_000n } = script.options;
  const scored = validators > 0 ? { validators: { count: validators, feeMsat } } : {};
  script.say(customer, 'job', 'job', { ...TERMS, trainers, quorum, rounds, rail, maxPriceMsat, ...scored, ...terms });
  inOrder(script, validators).forEach((who, i) =>
    script.say(who, 'register', `register/${i}`, registerOf(script, who)),
  );

  const bidders = people.slice(0, trainers + spares);
  bidders.forEach((who, i) =>
    script.say(who, 'bid', `bid/${i}`, {
      priceMsat,
      capacity: 1,
      engine: ENGINE,
      throughput: 5_000,
      expires: TERMS.deadline,
    }),
  );
  const named = inOrder(script, validators).flatMap((who, i) =>
    script.has(`register/${i}`)
      ? [{ validator: who.pubkey, register: script.raw(`register/${i}`).id, grant: seatOf(who) }]
      : [],
  );
  script.say(customer, 'award', 'award', {
    ...awardOf(script, bidders.slice(0, trainers), bidders.slice(trainers), priceMsat),
    ...(named.length > 0 && { validators: named }),
  });
  script.seats = bidders.slice(0, trainers).map((who, shard) => ({ shard, who, priceMsat }));
  script.seats.forEach(({ who, shard }) =>
    script.say(who, 'ready', `ready/${shard}`, {
      award: script.at('award', 'award').id,
      shard,
      grant: grantOf(who, shard),
    }),
  );
  for (let round = 0; round < rounds; round++) playRound(script, round);
  script.say(customer, 'artifact', 'artifact', {
    model: TERMS.model,
    schema: SCHEMA,
    weights: pointerTo(script.modelHash),
    key: null,
    rounds: Array.from({ length: rounds }, (_, round) => round).filter((round) => script.has(`close/${round}`)).length,
    lossPpm: 300_000,
    accuracyPpm: 950_000,
    trainers: credits(script, rounds),
  });
}

function credits(script: JobScript, rounds: number): ContentOf<'artifact'>['trainers'] {
  const counts = new Map<Pubkey, number>();
  for (let round = 0; round < rounds; round++) {
    for (const { trainer } of script.at(`open/${round}`, 'open').content.trainers)
      counts.set(trainer, counts.get(trainer) ?? 0);
    const accepted = script.has(`close/${round}`) ? script.at(`close/${round}`, 'close').content.accepted : [];
    for (const { trainer } of accepted) counts.set(trainer, counts.get(trainer)! + 1);
  }
  return [...counts]
    .map(([trainer, count]) => ({ trainer, rounds: count }))
    .sort((a, b) => (a.trainer < b.trainer ? -1 : 1));
}

/** An honest round: who did not commit or reveal is rejected, below the quorum it is void, else it is settled and paid. */
function playRound(script: JobScript, round: number): void {
  const { seats } = script;
  const { rail, wrongKeys = [] } = script.options;
  const isSale = rail === 'key-sale';
  const base = pointerTo(script.modelHash);
  const trainers = seats.map(({ who, shard }) => ({ trainer: who.pubkey, shard }));
  script.say(customer, 'open', `open/${round}`, {
    round,
    base,
    trainers,
    until: script.nowSec + TERMS.roundTimeoutSec,
  });
  for (const { who, shard } of seats)
    script.say(who, 'commit', `commit/${round}/${shard}`, commitOf(script, round, who, shard));

  const committed = seats.filter(({ shard }) => script.has(`commit/${round}/${shard}`));
  const ids = committed.map(({ shard }) => script.at(`commit/${round}/${shard}`, 'commit').id).sort();
  script.say(customer, 'seen', `seen/${round}`, { round, of: 'commit', ids });
  script.say(customer, 'list', `commits/${round}`, {
    round,
    of: 'commit',
    ids,
    until: script.nowSec + TERMS.revealTimeoutSec,
  });
  const validators = inOrder(script, script.options.validators ?? 0);
  if (script.at('job', 'job').content.spot !== null) {
    validators.forEach((who, i) => script.say(who, 'nonce', `nonce/${round}/${i}`, nonceOf(script, round, who)));
    const nonces = validators
      .map((who, i) => ({ who, step: `nonce/${round}/${i}` }))
      .filter(({ step }) => script.has(step))
      .sort((a, b) => (a.who.pubkey < b.who.pubkey ? -1 : 1))
      .map(({ step }) => script.raw(step).id);
    script.say(customer, 'draw', `draw/${round}`, { ...drawOf(script, round), ...(nonces.length > 0 && { nonces }) });
  }
  for (const { who, shard } of committed)
    script.say(who, 'reveal', `reveal/${round}/${shard}`, {
      ...revealOf(script, round, who, shard),
      ...(isSale && { sale: soldBy(script, round, shard, wrongKeys.includes(shard)).sale }),
    });

  const revealed = committed.filter(({ shard }) => script.has(`reveal/${round}/${shard}`));
  const revealIds = revealed.map(({ shard }) => script.at(`reveal/${round}/${shard}`, 'reveal').id).sort();
  const until = validators.length > 0 ? script.nowSec + TERMS.roundTimeoutSec : null;
  script.say(customer, 'list', `reveals/${round}`, { round, of: 'reveal', ids: revealIds, until });
  if (revealed.length < Math.min(script.at('job', 'job').content.quorum, seats.length)) {
    script.say(customer, 'void', `void/${round}`, { round, reason: 'no-quorum' });
    return;
  }
  if (validators.length > 0) scoreRound(script, round, validators, revealed);
  else script.say(customer, 'scores', `scores/${round}`, scoresOf(script, round, revealed));
  script.say(customer, 'close', `close/${round}`, {
    ...closeOf(script, round, seats, revealed),
    ...(isSale && { aggregate: script.modelHash }),
  });
  script.modelHash = script.at(`close/${round}`, 'close').content.aggregate;
  pay(script, round, seats);
  if (!isSale) return;
  for (const { who, shard } of seats)
    if (wrongKeys.includes(shard) && script.has(`receipt/${round}/${shard}`))
      script.say(customer, 'key-fraud', `key-fraud/${round}/${shard}`, keyFraudOf(script, round, shard, who));
  const sold = script.say(customer, 'sold', `sold/${round}`, soldOf(script, round));
  if (sold !== undefined) script.modelHash = sold.content.aggregate;
}

/** Everybody commits, then reveals; too few of them, and the customer's own scores follow. */
function scoreRound(script: JobScript, round: number, validators: readonly Person[], revealed: readonly Seat[]): void {
  const honest = scoresOf(script, round, revealed);
  const sheetOf = (i: number) => script.options.sheets?.[i]?.(honest) ?? honest;
  const idsOf = (step: string) =>
    validators.flatMap((_, i) => (script.has(`${step}/${i}`) ? [script.raw(`${step}/${i}`).id] : [])).sort();
  validators.forEach((who, i) =>
    script.say(who, 'score-commit', `score-commit/${round}/${i}`, scoreCommitOf(script, round, who, sheetOf(i))),
  );
  const ids = idsOf(`score-commit/${round}`);
  const until = script.nowSec + TERMS.revealTimeoutSec;
  script.say(customer, 'list', `score-commits/${round}`, { round, of: 'score-commit', ids, until });
  validators.forEach((who, i) => {
    if (!script.has(`score-commit/${round}/${i}`)) return;
    const opening = openingOf(script, round, who, i);
    script.say(who, 'scores', `score-reveal/${round}/${i}`, { ...sheetOf(i), opening });
  });
  const shown = idsOf(`score-reveal/${round}`);
  script.say(customer, 'list', `score-reveals/${round}`, { round, of: 'score-reveal', ids: shown, until: null });
  const folded = script.state.rounds[round];
  for (const one of folded === undefined ? [] : contradictions(folded)) {
    const i = validators.findIndex(({ pubkey }) => pubkey === one.validator);
    const { witnesses, ...rest } = one;
    script.say(customer, 'validator-fraud', `validator-fraud/${round}/${i}`, {
      round,
      ...rest,
      witnesses: [...witnesses],
    });
  }
  if (2 * shown.length < validators.length + 1) script.say(customer, 'scores', `scores/${round}`, honest);
}

function pay(script: JobScript, round: number, seats: readonly Seat[]): void {
  const close = script.at(`close/${round}`, 'close');
  const plan = seats
    .filter(({ who, priceMsat }) => priceMsat > 0n && close.content.accepted.some((row) => row.trainer === who.pubkey))
    .map(({ who, priceMsat }) => lineOf(script, round, who, 'trainer', priceMsat))
    .concat(
      paidScorers(script, round).map((who) =>
        lineOf(script, round, who, 'fee', script.at('job', 'job').content.validators!.feeMsat),
      ),
    )
    .sort((a, b) => (a.payee < b.payee ? -1 : 1));
  if (plan.length === 0) return;
  const totalMsat = plan.reduce((sum, line) => sum + line.amountMsat, 0n);
  const settlement = script.say(customer, 'settlement', `settlement/${round}`, {
    round,
    close: close.id,
    plan,
    totalMsat,
  });
  if (settlement === undefined) return;
  for (const { who, shard } of seats) {
    const line = plan.find(({ payee }) => payee === who.pubkey);
    if (line !== undefined) payLine(script, settlement.id, `${round}/${shard}`, who, line);
  }
  paidScorers(script, round).forEach((who, i) => {
    const line = plan.find(({ payee }) => payee === who.pubkey)!;
    payLine(script, settlement.id, `${round}/validator ${i}`, who, line);
  });
}

function lineOf(script: JobScript, round: number, who: Person, purpose: 'trainer' | 'fee', amountMsat: bigint) {
  const payout = payoutId(script.jobId, round, who.pubkey, purpose);
  return { payout, payee: who.pubkey, purpose, amountMsat };
}

/** Who revealed. */
function paidScorers(script: JobScript, round: number): readonly Person[] {
  if (script.at('job', 'job').content.validators?.feeMsat === 0n) return [];
  return inOrder(script, script.options.validators ?? 0).filter(
    (_, i) => script.has(`score-reveal/${round}/${i}`) && !script.has(`validator-fraud/${round}/${i}`),
  );
}

function payLine(
  script: JobScript,
  settlement: EventId,
  step: string,
  who: Person,
  { payout, payee, amountMsat }: ContentOf<'settlement'>['plan'][number],
): void {
  const sealed = Buffer.alloc(99, 2).toString('base64');
  const invoice = `lnbcrt210n1${hashOf(step)}`;
  const asked = { settlement, payout, amountMsat, invoiceHash: invoiceHash(invoice), sealed };
  const claim = script.say(who, 'claim', `claim/${step}`, asked);
  if (claim === undefined) return;
  const preimage = sha256(`preimage ${step}`);
  const receipt = script.say(customer, 'receipt', `receipt/${step}`, {
    settlement,
    payout,
    claim: claim.id,
    payee,
    amountMsat,
    invoice,
    paymentHash: sha256Hex(preimage),
    preimage: Buffer.from(preimage).toString('hex') as Sha256,
  });
  if (receipt !== undefined)
    script.say(who, 'received', `received/${step}`, { receipt: receipt.id, payout, amountMsat });
}
