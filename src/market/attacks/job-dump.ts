import { sha256, sha256Hex, type EventId, type Pubkey, type Sha256 } from '../../hash.js';
import type { EngineId } from '../../learning/types.js';
import type { EventTemplate, NostrEvent } from '../../ports.js';
import { invoiceHash } from '../../protocol/claim.js';
import type { EventType } from '../../protocol/envelope.js';
import { EVENT_TYPES, type ContentOf, type EventName } from '../../protocol/events.js';
import type { Pointer } from '../../protocol/pointer.js';
import { payoutId } from '../../protocol/settlement.js';
import { commitmentOf } from '../../protocol/submission.js';
import { publicKey } from '../../schnorr.js';

/** Whole jobs in which everything goes well, event by event: as many trainers, rounds and validators as asked for. */

export interface DumpSize {
  /** Names keys and job: equal names give equal bytes. */
  readonly name: string;
  /** At most 64: award, scores and close name every seat in one event. */
  readonly trainers: number;
  readonly rounds: number;
  /** Each publishes its scores of every round, as a participant of the job. */
  readonly validators: number;
}
/** Signs, or only puts the id to it. */
export type Sign = (template: EventTemplate, secret: Uint8Array, pubkey: Pubkey) => NostrEvent;

interface Person {
  readonly secret: Uint8Array;
  readonly pubkey: Pubkey;
}
type Seat = Person & { readonly shard: number };
type Say = <K extends EventName>(who: Person, type: K, content: ContentOf<K>) => NostrEvent;

const START_SEC = 1_760_000_000;
const PRICE_MSAT = 21_000n;
const ENGINE = 'wasm/3f2a9c10/4.22.0/x64' as EngineId;
const SEALED = Buffer.alloc(99, 2).toString('base64');
const hashOf = (...parts: (string | number)[]): Sha256 => sha256Hex('bench market', parts.join(' '));
const idOf = (text: string) => hashOf(text) as string as EventId;

function pointerTo(content: Sha256): Pointer {
  return { sha256: content, size: 400, packed: 300, chunks: 0, root: content, commit: content, ids: [] };
}

const TERMS: Omit<ContentOf<'job'>, 'title' | 'rounds' | 'trainers' | 'quorum'> = {
  mode: 'federated',
  dataset: idOf('train'),
  evalA: { snapshot: idOf('a'), rows: 100, commitment: hashOf('set a') },
  evalB: { snapshot: idOf('b'), rows: 100, commitment: hashOf('set b') },
  model: { model: 'logreg', task: 'classification', inputs: 4, outputs: 3, hidden: [] },
  hyper: { optimizer: 'adam', learningRate: 0.01, batch: 32, epochs: 2 },
  network: 'sandbox',
  rail: 'instalments',
  maxPriceMsat: 50_000n,
  budgetMsat: 10n ** 12n,
  payoutFloorMsat: 1_000n,
  award: 'full',
  payment: 'pay-as-bid',
  ...{ bidWindowSec: 60, readyTimeoutSec: 120, roundTimeoutSec: 900, revealTimeoutSec: 120 },
  ...{ claimWithinSec: 604_800, payWithinSec: 600, deadline: START_SEC + 86_400 },
  ...{ maxReplacements: 2, maxHolders: 2, keyRelease: 'open', verification: 'floor', spot: null },
  acceptedEngines: ['wasm'],
  ...{ aggregation: 'fedavg', attackers: 0, outer: { name: 'none' }, codec: { name: 'f32' }, strictLoss: false },
  ...{ seedCommitment: hashOf('seed'), chainCommitment: hashOf('chain'), audit: 'granted', access: 'customer' },
  relays: ['wss://relay.example'],
};

/** Events of one job in the order they are published: trainers * (5 * rounds + 2) + rounds * (6 + validators) + 3. */
export function* jobDump({ name, trainers, rounds, validators }: DumpSize, sign: Sign): Generator<NostrEvent> {
  const person = (role: string): Person => {
    const secret = sha256('bench market', name, role);
    return { secret, pubkey: publicKey(secret) };
  };
  const people = (role: string, count: number) => Array.from({ length: count }, (_, i) => person(`${role} ${i}`));
  const customer = person('customer');
  const seats: Seat[] = people('trainer', trainers)
    .sort((a, b) => (a.pubkey < b.pubkey ? -1 : 1))
    .map((who, shard) => ({ ...who, shard }));
  const judges = people('validator', validators);
  const say = writer(sign);

  const quorum = Math.ceil((2 * trainers) / 3);
  const job = say(customer, 'job', { ...TERMS, title: name, rounds, trainers, quorum });
  yield job;
  const priceMsat = PRICE_MSAT;
  const offer = { priceMsat, capacity: 1, engine: ENGINE, throughput: 5_000, expires: TERMS.deadline };
  const bids = seats.map((who) => say(who, 'bid', offer));
  yield* bids;
  const grantOf = ({ pubkey, shard }: Seat) => hashOf('grant', shard, pubkey);
  const award = say(customer, 'award', {
    bids: seats.map(({ pubkey: trainer, shard }) => ({
      ...{ bid: bids[shard]!.id, trainer, priceMsat, effectiveMsat: 2n * priceMsat },
      ...{ attempts: 0, successes: 0, outcome: 'won' as const },
    })),
    winners: seats.map((seat) => {
      const { shard, pubkey: trainer } = seat;
      return { trainer, bid: bids[shard]!.id, shard, priceMsat, grant: grantOf(seat) };
    }),
    rule: { name: 'fedavg', f: 0, m: 0 },
  });
  yield award;
  for (const seat of seats) yield say(seat, 'ready', { award: award.id, shard: seat.shard, grant: grantOf(seat) });

  const model = (round: number) => hashOf('model', name, round);
  for (let round = 0; round < rounds; round++) {
    const [base, next] = [model(round), model(round + 1)];
    yield* roundDump({ job: job.id, round, base, next, customer, seats, judges, say });
  }
  yield say(customer, 'artifact', {
    model: TERMS.model,
    schema: {
      ...{ task: 'classification', shape: [4], inputs: 4, dtype: 'F32', scale: 1, outputs: 3 },
      classes: ['a', 'b', 'c'],
    },
    weights: pointerTo(model(rounds)),
    key: null,
    rounds,
    lossPpm: 300_000,
    accuracyPpm: 950_000,
    trainers: seats.map(({ pubkey: trainer }) => ({ trainer, rounds })),
  });
}

/** Links every author's events one to the other. */
function writer(sign: Sign): Say {
  const tips = new Map<Pubkey, { readonly seq: number; readonly prev: EventId }>();
  let job: EventId | null = null;
  let nowSec = START_SEC;
  return (who, type, content) => {
    const wire = EVENT_TYPES[type] as unknown as EventType<typeof type, typeof content>;
    const { seq, prev } = tips.get(who.pubkey) ?? { seq: 0, prev: null };
    const event = sign(wire.build({ job, seq, prev }, content, nowSec++), who.secret, who.pubkey);
    tips.set(who.pubkey, { seq: seq + 1, prev: event.id });
    job ??= event.id;
    return event;
  };
}

interface Round {
  readonly job: EventId;
  readonly round: number;
  readonly base: Sha256;
  readonly next: Sha256;
  readonly customer: Person;
  readonly seats: readonly Seat[];
  readonly judges: readonly Person[];
  readonly say: Say;
}

function* roundDump({ job, round, base, next, customer, seats, judges, say }: Round): Generator<NostrEvent> {
  const trainers = seats.map(({ pubkey: trainer, shard }) => ({ trainer, shard }));
  const open = say(customer, 'open', { round, base: pointerTo(base), trainers, until: START_SEC + 10 ** 8 });
  yield open;
  const workOf = ({ shard }: Seat) => ({
    baseHash: base,
    updateHash: hashOf('update', job, round, shard),
    checkpoints: [],
    salt: sha256('salt', String(round), String(shard)),
  });
  const commits = seats.map((seat) => {
    const { shard, pubkey: trainer } = seat;
    const commitment = commitmentOf({ job, round, shard, trainer, ...workOf(seat) });
    return say(seat, 'commit', { round, shard, open: open.id, commitment });
  });
  yield* commits;
  const list = (of: 'commit' | 'reveal', events: readonly NostrEvent[], until: number | null) =>
    say(customer, 'list', { round, of, ids: events.map(({ id }) => id).sort(), until });
  const committed = list('commit', commits, START_SEC + 10 ** 8);
  yield committed;
  const reveals = seats.map((seat) => {
    const cited = { round, shard: seat.shard, list: committed.id, commit: commits[seat.shard]!.id };
    return say(seat, 'reveal', { ...cited, ...workOf(seat), engine: ENGINE, sealed: SEALED });
  });
  yield* reveals;
  const revealed = list('reveal', reveals, null);
  yield revealed;
  const measured: ContentOf<'scores'> = {
    ...{ round, list: revealed.id, engine: ENGINE, data: TERMS.evalA.commitment },
    scores: seats.map(({ pubkey: trainer, shard }) => ({
      ...{ submission: reveals[shard]!.id, trainer, shard },
      ...{ ownBeforePpm: 1_000_000, ownAfterPpm: 500_000, otherBeforePpm: 1_000_000, otherAfterPpm: 800_000 },
      ...{ ownSePpm: 10_000, otherSePpm: 10_000, dPpm: 500_000, ePpm: 300_000, lossPpm: 600_000, spot: null },
    })),
  };
  for (const judge of judges) yield say(judge, 'scores', measured);
  const scores = say(customer, 'scores', measured);
  yield scores;
  const close = say(customer, 'close', {
    ...{ round, list: revealed.id, scores: scores.id },
    accepted: trainers.map((seat) => ({ ...seat, submission: reveals[seat.shard]!.id })),
    ...{ rejected: [], aggregate: next, lossPpm: 500_000, accuracyPpm: 900_000 },
  });
  yield close;
  yield* payments({ job, round, close: close.id, customer, seats, say });
}

function* payments({
  job,
  round,
  close,
  customer,
  seats,
  say,
}: Pick<Round, 'job' | 'round' | 'customer' | 'seats' | 'say'> & { readonly close: EventId }): Generator<NostrEvent> {
  const amountMsat = PRICE_MSAT;
  const plan = seats.map(({ pubkey: payee }) => {
    return { payout: payoutId(job, round, payee, 'trainer'), payee, purpose: 'trainer' as const, amountMsat };
  });
  const totalMsat = BigInt(seats.length) * amountMsat;
  const settled = say(customer, 'settlement', { round, close, plan, totalMsat });
  yield settled;
  for (const [index, seat] of seats.entries()) {
    const { payout, payee } = plan[index]!;
    const preimage = sha256('preimage', payout);
    const paymentHash = sha256Hex(preimage);
    const invoice = `lnbcrt210n1${paymentHash}${payout}${payee}${paymentHash}`;
    const of = { settlement: settled.id, payout, amountMsat };
    const claim = say(seat, 'claim', { ...of, invoiceHash: invoiceHash(invoice), sealed: SEALED });
    yield claim;
    const proof = { invoice, paymentHash, preimage: Buffer.from(preimage).toString('hex') as Sha256 };
    const receipt = say(customer, 'receipt', { ...of, claim: claim.id, payee, ...proof });
    yield receipt;
    yield say(seat, 'received', { receipt: receipt.id, payout, amountMsat });
  }
}
