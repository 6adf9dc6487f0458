import {
  artifactContext,
  baseContext,
  openBlob,
  rootContext,
  stateContext,
  updateContext,
  type Sealed,
} from './blobs.js';
import {
  hashOf,
  differing,
  weightsFrom,
  initialWeights,
  joined,
  meanOf,
  trustedMean,
  measure,
  readState,
  readWeights,
  sampled,
  standardErrorPpm,
  writeSafetensors,
  type Measured,
  type Weights,
} from './numbers.js';
import { closedRule, judge, spellSide, type Round, type Walked } from './rules.js';
import { openData, type BlobKey, type Data, type Keys } from './data.js';
import { drawn, endOf } from './spot.js';
import { firstState, rootSeed, stateHash, stepsOf, train, trainingSeed, type TrainState } from './training.js';
import {
  Bad,
  fields,
  fromHex,
  hex,
  must,
  prevOf,
  sha256,
  type Events,
  type Fields,
  type RawEvent,
  type ScoreRow,
  type Scores,
} from './wire.js';

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
    let before: Weights | null = null;
    for (const round of rounds) {
      must(fields(round.open).base.sha256 === model, round.open.id, 'another base');
      before = this.#auditRound(round, before);
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

  /** The model that a round starts from: whole, or as the difference to the one before. */
  #openBase({ round, open }: Round, before: Weights | null): Weights {
    const { base, inline, difference } = fields(open);
    const key = this.keys.rounds.find((entry) => entry.round === round)?.key;
    must(key !== undefined, open.id, 'no key');
    const context = baseContext(this.walked.job.id, round);
    if (difference === undefined) return this.#open(open.id, { pointer: base, inline, key, context });
    const pointer = { ...base, sha256: difference.sha256, size: difference.size };
    let model: Weights;
    try {
      model = weightsFrom(before!, openBlob(this.events, open.id, { pointer, inline, key, context }));
    } catch (error) {
      throw error instanceof Bad ? error : new Bad(open.id, (error as Error).message);
    }
    const file = writeSafetensors(model);
    must(hex(sha256(file)) === base.sha256 && file.length === base.size, open.id, 'it leads to another model');
    return model;
  }

  /** @returns the model that it started from */
  #auditRound(round: Round, before: Weights | null): Weights {
    const { job } = this.walked;
    const base = this.#openBase(round, before);
    if (round.verdict === null) return base;
    const updates = new Map<number, Weights>();
    const findings = new Map<number, string>();
    const states = new Map<number, Drawn>();
    for (const [shard, reveal] of round.reveals) {
      if (closedRule(this.walked, round, shard) !== undefined) continue;
      const sealed = this.keys.updates.find(({ submission }) => submission === reveal.id);
      const { inline: bytes, updateHash } = fields(reveal);
      const context = updateContext(job.id, round.round, shard, reveal.pubkey);
      try {
        const weights = this.#open(reveal.id, { pointer: sealed!.pointer, inline: bytes, key: sealed!.key, context });
        must(sealed!.pointer.sha256 === updateHash, reveal.id, 'another update');
        updates.set(shard, weights);
      } catch (error) {
        findings.set(shard, (error as Error).message === 'other shapes' ? 'shape' : 'blob');
      }
      if (sealed === undefined) continue;
      const state = this.#stateOf(round, reveal, sealed.state, base);
      if (state === 'unproven') findings.set(shard, 'spot-check');
      else if (state !== null) states.set(shard, state);
    }
    for (const [shard, rule] of findings) if (rule === 'spot-check') updates.delete(shard);
    const { rows: scores, by } = round.verdict;
    for (const shard of updates.keys())
      must(
        scores.some((row) => row.shard === shard),
        by,
        'an update without a score',
      );
    const repeated = scores.filter(({ spot }) => spot != null);
    for (const { shard, submission } of repeated)
      must(findings.get(shard) !== 'spot-check', submission, 'it was repeated, and its state does not open');
    const mean = this.#auditClose(round, base, updates, findings);
    if (this.#data === null) return base;
    this.#measureRound(round, this.#data, scores, base, updates, mean);
    if (this.walked.terms.spot?.engine !== OWN_ENGINE) return base;
    for (const row of repeated) this.#repeat(round, row, this.#data, base, states.get(row.shard));
    return base;
  }

  /** What the drawn segment begins with; null: this one is spared. */
  #stateOf({ round, ...rest }: Round, reveal: RawEvent, key: BlobKey | null, base: Weights): Drawn | 'unproven' | null {
    const { job, terms, events } = { ...this.walked, events: this.events };
    if (terms.spot == null) return null;
    const { shard, checkpoints } = fields(reveal);
    const { shards } = fields(events.at(terms.dataset));
    const count = Math.ceil(stepsOf(terms.hyper, shards[shard]!.examples) / terms.spot.everySteps);
    if (checkpoints!.length !== count - 1) return 'unproven';
    const segment = drawn(this.walked, { round, ...rest }, reveal);
    if (segment === null) return null;
    const first = firstState(base, terms.hyper);
    if (segment === 0) return { segment, before: first };
    const context = stateContext(job.id, round, shard, reveal.pubkey);
    try {
      const file = openBlob(events, reveal.id, { ...key!, context });
      const tensors = key!.coding === undefined ? readState(file, first.tensors) : differing(base, file, first.tensors);
      const before = { step: segment * terms.spot.everySteps, tensors };
      return stateHash(before) === checkpoints![segment - 1] ? { segment, before } : 'unproven';
    } catch {
      return 'unproven';
    }
  }

  /** The drawn segment from the state that was shown, any other from the base. */
  #repeat({ round, verdict, reveals }: Round, row: ScoreRow, data: Data, base: Weights, shown?: Drawn): void {
    const { hyper, spot: terms } = this.walked.terms;
    const { segment, hash } = row.spot!;
    const rows = data.shards[row.shard]!;
    const steps = stepsOf(hyper, rows.labels.length);
    const before = shown?.segment === segment ? shown.before : firstState(base, hyper);
    const seed = trainingSeed(this.keys.seed, round, row.shard, row.trainer);
    const end = train(hyper, seed, rows, base, before, Math.min(steps, (segment + 1) * terms!.everySteps));
    const [bias, kernel] = end.tensors;
    const is = end.step === steps ? hashOf([bias!, kernel!]) : stateHash(end);
    const isFalse = is === endOf(reveals.get(row.shard)!, segment);
    must(is === hash, verdict!.by, isFalse ? 'a false accusation' : `segment ${segment} ends in ${is}`);
  }

  #auditClose(
    round: Round,
    base: Weights,
    updates: ReadonlyMap<number, Weights>,
    findings: ReadonlyMap<number, string>,
  ): Weights | null {
    if (round.close === null) return null;
    const { accepted, aggregate } = fields(round.close);
    for (const { shard, submission } of accepted) must(!findings.has(shard), submission!, 'it does not open');
    const right = judge(this.walked, round, findings);
    must(spellSide(right.accepted) === spellSide(accepted), round.close.id, 'other updates pass');
    const { shards } = fields(this.events.at(this.walked.terms.dataset));
    const parts = accepted.map(({ shard }) => ({
      examples: shards[shard]!.examples,
      weights: updates.get(shard)!,
    }));
    must(['fedavg', 'fltrust'].includes(this.walked.rule), round.close.id, 'another rule than is worked out here');
    const root = this.#openRoot(round, base);
    const mean = root === null ? meanOf(parts) : trustedMean(base, parts, root);
    must(hashOf(mean) === aggregate, round.close.id, 'another mean');
    return mean;
  }

  /** The customer's own update, trained again where that repeats; null: the rule asks for none. */
  #openRoot({ round, close }: Round, base: Weights): Weights | null {
    const { root: pointer, engine } = fields(close!);
    must((pointer !== undefined) === (this.walked.rule === 'fltrust'), close!.id, 'a root, or none');
    if (pointer === undefined) return null;
    const key = this.keys.roots?.find((entry) => entry.round === round)?.key;
    must(key !== undefined, close!.id, 'no key to the root');
    const root = this.#open(close!.id, { pointer, key, context: rootContext(this.walked.job.id, round) });
    if (this.#data === null || engine !== OWN_ENGINE) return root;
    const { hyper } = this.walked.terms;
    const steps = stepsOf(hyper, this.#data.a.labels.length);
    const start = firstState(base, hyper);
    const [bias, kernel] = train(hyper, rootSeed(this.keys.seed, round), this.#data.a, base, start, steps).tensors;
    must(hashOf([bias!, kernel!]) === pointer.sha256, close!.id, 'another root update');
    return root;
  }

  #measureRound(
    { scores, scoreReveals, verdict, round, close }: Round,
    data: Data,
    rows: readonly ScoreRow[],
    base: Weights,
    updates: ReadonlyMap<number, Weights>,
    mean: Weights | null,
  ): void {
    for (const row of rows) {
      const update = updates.get(row.shard);
      if (update === undefined) continue;
      const own = sampled(data.shards[row.shard]!, data.chain, `sample/${round}/${row.shard}`);
      const rest = data.shards.filter((_, shard) => shard !== row.shard);
      const other = sampled(rest.length === 0 ? data.a : joined(rest), data.chain, `sample/${round}/other`);
      const [ownBefore, ownAfter] = [measure(base, own), measure(update, own)];
      const [otherBefore, otherAfter] = [measure(base, other), measure(update, other)];
      const sheets = scores === null ? [...scoreReveals!.values()] : [scores];
      const isExact = sheets.every((sheet) => fields<Scores>(sheet).engine === OWN_ENGINE);
      const near = (said: number, is: number, share = 1_000): void => {
        const far = isExact ? NEAR_PPM : 100 + Math.max(said, is) / share;
        must(Math.abs(said - is) <= far, verdict!.by, `${said} said, measured ${is}`);
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

interface Drawn {
  readonly segment: number;
  readonly before: TrainState;
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
