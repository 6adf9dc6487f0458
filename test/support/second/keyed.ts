import { artifactContext, baseContext, openBlob, shardContext, updateContext, type Sealed } from './blobs.js';
import {
  chainCommitment,
  hashOf,
  initialWeights,
  joined,
  meanOf,
  measure,
  readRows,
  readWeights,
  sampled,
  standardErrorPpm,
  type Measured,
  type Rows,
  type Weights,
} from './numbers.js';
import { closedRule, judge, spellSide, type Round, type Walked } from './rules.js';
import {
  Bad,
  fields,
  fromHex,
  hex,
  must,
  nameOf,
  prevOf,
  sha256,
  type Events,
  type Fields,
  type Pointer,
  type ScoreRow,
  type Scores,
} from './wire.js';

/** What opens a job, as collect-model writes it. */
export interface Keys {
  readonly seed: string;
  readonly rounds: readonly { readonly round: number; readonly key: string }[];
  readonly updates: readonly { readonly submission: string; readonly key: string; readonly pointer: Pointer }[];
  readonly artifact: string | null;
  readonly heads?: readonly { readonly author: string; readonly event: string }[];
  readonly data?: {
    readonly chain: string;
    readonly train: EpochKeys;
    readonly a: EpochKeys & { readonly salt: string };
    readonly b: EpochKeys & { readonly salt: string };
  };
}
interface EpochKeys {
  readonly locator: string;
  readonly blind: string;
  readonly shards: readonly string[];
}

/** Losses of two implementations differ in their last digit. */
const NEAR_PPM = 3;
/** What this measures like. */
const OWN_ENGINE = 'cpu/00000000/stub/x64';

export class Keyed {
  readonly #data: Data | null;

  constructor(
    readonly walked: Walked,
    readonly events: Events,
    readonly keys: Keys,
  ) {
    auditHeads(events, keys);
    const { job, terms } = walked;
    must(hex(sha256('nmkt/1/seed', fromHex(keys.seed))) === terms.seedCommitment, job.id, 'another seed');
    this.#data = keys.data === undefined ? null : openData(walked, events, keys, keys.data);
  }

  audit(): void {
    const { terms, rounds, artifact, job } = this.walked;
    let model = hashOf(initialWeights(this.keys.seed, terms.model));
    for (const round of rounds) {
      must(fields(round.open).base.sha256 === model, round.open.id, 'another base');
      this.#auditRound(round);
      if (round.close !== null) model = fields(round.close).aggregate;
    }
    if (artifact === null || this.keys.artifact === null) return;
    const { weights: pointer, inline } = fields(artifact);
    const key = this.keys.artifact;
    const weights = this.#open(artifact.id, { pointer, inline, key, context: artifactContext(job.id) });
    if (this.#data !== null) hasMetrics(artifact.id, measure(weights, this.#data.b), fields(artifact));
  }

  #open(owner: string, sealed: Sealed): Weights {
    try {
      return readWeights(openBlob(this.events, owner, sealed), this.walked.terms.model);
    } catch (error) {
      throw error instanceof Bad ? error : new Bad(owner, (error as Error).message);
    }
  }

  #auditRound(round: Round): void {
    const { job } = this.walked;
    const { base: pointer, inline } = fields(round.open);
    const key = this.keys.rounds.find((entry) => entry.round === round.round)?.key;
    must(key !== undefined, round.open.id, 'no key');
    const base = this.#open(round.open.id, { pointer, inline, key, context: baseContext(job.id, round.round) });
    if (round.scores === null) return;
    const updates = new Map<string, Weights>();
    const findings = new Map<string, string>();
    for (const [trainer, reveal] of round.reveals) {
      if (closedRule(this.walked, round, trainer) !== undefined) continue;
      const sealed = this.keys.updates.find(({ submission }) => submission === reveal.id);
      const { inline: bytes, updateHash, shard } = fields(reveal);
      const context = updateContext(job.id, round.round, shard, trainer);
      try {
        const weights = this.#open(reveal.id, { pointer: sealed!.pointer, inline: bytes, key: sealed!.key, context });
        must(sealed!.pointer.sha256 === updateHash, reveal.id, 'another update');
        updates.set(trainer, weights);
      } catch (error) {
        findings.set(trainer, (error as Error).message === 'other shapes' ? 'shape' : 'blob');
      }
    }
    const { scores } = fields<Scores>(round.scores);
    for (const trainer of updates.keys())
      must(
        scores.some((row) => row.trainer === trainer),
        round.scores.id,
        'an update without a score',
      );
    const mean = this.#auditClose(round, updates, findings);
    if (this.#data !== null) this.#measureRound(round, this.#data, scores, base, updates, mean);
  }

  #auditClose(
    round: Round,
    updates: ReadonlyMap<string, Weights>,
    findings: ReadonlyMap<string, string>,
  ): Weights | null {
    if (round.close === null) return null;
    const { accepted, aggregate } = fields(round.close);
    for (const { trainer, submission } of accepted) must(!findings.has(trainer), submission!, 'it does not open');
    const right = judge(this.walked, round, findings);
    must(spellSide(right.accepted) === spellSide(accepted), round.close.id, 'other updates pass');
    const { shards } = fields(this.events.at(this.walked.terms.dataset));
    const parts = accepted.map(({ trainer, shard }) => ({
      examples: shards[shard]!.examples,
      weights: updates.get(trainer)!,
    }));
    const mean = meanOf(parts);
    must(hashOf(mean) === aggregate, round.close.id, 'another mean');
    return mean;
  }

  #measureRound(
    { scores, round, close }: Round,
    data: Data,
    rows: readonly ScoreRow[],
    base: Weights,
    updates: ReadonlyMap<string, Weights>,
    mean: Weights | null,
  ): void {
    for (const row of rows) {
      const update = updates.get(row.trainer);
      if (update === undefined) continue;
      const own = sampled(data.shards[row.shard]!, data.chain, `sample/${round}/${row.shard}`);
      const rest = data.shards.filter((_, shard) => shard !== row.shard);
      const other = sampled(rest.length === 0 ? data.a : joined(rest), data.chain, `sample/${round}/other`);
      const [ownBefore, ownAfter] = [measure(base, own), measure(update, own)];
      const [otherBefore, otherAfter] = [measure(base, other), measure(update, other)];
      const isExact = fields<Scores>(scores!).engine === OWN_ENGINE;
      const near = (said: number, is: number, share = 1_000): void => {
        const far = isExact ? NEAR_PPM : 100 + Math.max(said, is) / share;
        must(Math.abs(said - is) <= far, scores!.id, `${said} said, measured ${is}`);
      };
      near(row.ownBeforePpm, ownBefore.lossPpm);
      near(row.ownAfterPpm, ownAfter.lossPpm);
      near(row.otherBeforePpm, otherBefore.lossPpm);
      near(row.otherAfterPpm, otherAfter.lossPpm);
      near(row.ownSePpm, standardErrorPpm(ownBefore.losses, ownAfter.losses), 100);
      near(row.otherSePpm, standardErrorPpm(otherBefore.losses, otherAfter.losses), 100);
      near(row.lossPpm, measure(update, data.a).lossPpm);
    }
    if (close !== null && mean !== null) hasMetrics(close.id, measure(mean, data.a), fields(close));
  }
}

/** As the engine of the tests measures, when it is named; else within a thousandth and 100 ppm, and one example. */
function hasMetrics(
  event: string,
  { lossPpm, accuracyPpm, losses }: Measured,
  said: Pick<Fields, 'lossPpm' | 'accuracyPpm' | 'engine'>,
): void {
  const isExact = said.engine === OWN_ENGINE;
  const far = isExact ? NEAR_PPM : 100 + Math.max(lossPpm, said.lossPpm) / 1_000;
  must(Math.abs(lossPpm - said.lossPpm) <= far, event, `a loss of ${lossPpm}`);
  const example = isExact ? 0 : Math.ceil(1e6 / losses.length);
  must(Math.abs(accuracyPpm - (said.accuracyPpm ?? -1e9)) <= example, event, `an accuracy of ${accuracyPpm}`);
}

/** Every chain must lead to the head that the customer saw. */
function auditHeads(events: Events, { heads = [] }: Keys): void {
  for (const { event } of heads) for (let id: string | undefined = event; id !== undefined;) id = prevOf(events.at(id));
}

interface Data {
  readonly chain: string;
  readonly shards: readonly Rows[];
  readonly a: Rows;
  readonly b: Rows;
}

function openData({ job, terms }: Walked, events: Events, keys: Keys, data: NonNullable<Keys['data']>): Data {
  must(chainCommitment(data.chain, terms.rounds) === terms.chainCommitment, job.id, 'another chain');
  const open = (id: string, { locator, blind, shards }: EpochKeys): { rows: Rows[]; hash: string } => {
    const snapshot = fields<Fields & { readonly salt: string; readonly schema: { readonly scale: number } }>(
      events.at(id),
    );
    must(hex(sha256('nmkt/1/locator', fromHex(blind), locator)) === snapshot.locator, id, 'another locator');
    const pointers = (JSON.parse(locator) as { readonly shards: readonly Pointer[] }).shards;
    must(
      pointers.length === snapshot.shards.length && shards.length === pointers.length,
      id,
      'another number of shards',
    );
    const rows = pointers.map((pointer, part) => {
      const said = snapshot.shards[part]!;
      must(
        pointer.commit === said.commit && pointer.size === said.size && pointer.chunks === said.chunks,
        id,
        'another',
      );
      const sealed = { pointer, key: shards[part]!, context: shardContext(snapshot.salt), part };
      const file = attempt(id, () => openBlob(events, id, sealed));
      const read = readRows(file, snapshot.schema.scale);
      must(read.labels.length === said.examples, id, 'another number of examples');
      return read;
    });
    return { rows, hash: pointers[0]!.sha256 };
  };
  const train = open(terms.dataset, data.train);
  const [a, b] = [open(terms.evalA.snapshot, data.a), open(terms.evalB.snapshot, data.b)];
  for (const [set, { hash }, { salt }] of [
    [terms.evalA, a, data.a],
    [terms.evalB, b, data.b],
  ] as const)
    must(hex(sha256('nmkt/1/data', fromHex(salt), fromHex(hash))) === set.commitment, job.id, 'another set');
  auditGrants(job.id, terms, events, keys, data.train, job.pubkey);
  return { chain: data.chain, shards: train.rows, a: a.rows[0]!, b: b.rows[0]! };
}

function attempt<T>(id: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof Bad ? error : new Bad(id, (error as Error).message);
  }
}

/** The grants that the award promised, written out as the table of grants says. */
function auditGrants(
  job: string,
  { dataset, deadline }: Walked['terms'],
  events: Events,
  { seed }: Keys,
  { locator, blind, shards }: EpochKeys,
  customer: string,
): void {
  for (const event of events.chains.get(customer)!.events) {
    const { winners, in: next, shard } = fields(event);
    const name = nameOf(event);
    const seats = name === '4626/award' ? winners : name === '4626/replace' && next ? [{ ...next, shard }] : [];
    for (const seat of seats) {
      const place = { purpose: 'shard', job, snapshot: dataset, shard: seat.shard };
      const grant = { ...place, key: shards[seat.shard], seed, locator, blind, notAfter: deadline };
      must(hex(sha256('nmkt/1/grant', JSON.stringify(grant))) === seat.grant, event.id, 'another grant');
    }
  }
}
