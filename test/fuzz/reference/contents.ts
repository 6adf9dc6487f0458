import { tokensSlowly } from './merges.js';
import { JsonObject, fieldOf, refuse, type Json } from './json.js';
import {
  base64,
  boolean,
  bytes32,
  closed,
  constant,
  decimal,
  decimal9,
  engine,
  fromBase64,
  hex64,
  integer,
  isTrue,
  invoice,
  list,
  loss,
  msat,
  object,
  optional,
  orNull,
  part,
  ppm,
  relay,
  round,
  sealed,
  shard,
  spread,
  text,
  time,
  type Check,
} from './scalars.js';

/** The sections "Content" and "Events" of docs/protocol.md: what the content of every kind holds, in the page's order. */

/** The ranges alone; `consistent` in blob.ts is what a reader checks before it fetches. */
export const pointer = object({
  sha256: hex64,
  size: integer(0, 2 ** 40),
  packed: integer(0, 2 ** 40),
  chunks: integer(0, 2 ** 24),
  root: hex64,
  commit: hex64,
  ids: list(hex64, 0, 400),
});
const degraded = optional(isTrue);
const inline = optional(base64(34_000));
const difference = optional(
  object({ coding: constant('ordered-words'), to: hex64, sha256: hex64, size: integer(0, 2 ** 40) }),
);

const column: Check = (value) => {
  if (!(value instanceof JsonObject)) return refuse('no column');
  return fieldOf(value, 'kind') === 'numeric'
    ? object({ kind: constant('numeric'), name: text(200), mean: decimal9, stdDev: spread, fill: decimal9 })(value)
    : object({ kind: constant('categorical'), name: text(200), values: list(text(200), 0, 64) })(value);
};

/** The object among several that its field `name` says. */
const either =
  (name: string, kinds: Readonly<Record<string, Check>>): Check =>
  (value) => {
    const kind = value instanceof JsonObject ? fieldOf(value, name) : undefined;
    return typeof kind === 'string' && Object.hasOwn(kinds, kind) ? kinds[kind]!(value) : refuse(`no ${name}`);
  };

/** 2 to 4,096 code points, none a surrogate, each above the one before. */
const alphabet: Check = (value) => {
  if (typeof value !== 'string') return refuse('no alphabet');
  const points = Array.from(value, (character) => character.codePointAt(0)!);
  const rises = points.every((point, i) => i === 0 || points[i - 1]! < point);
  const isText = points.every((point) => point < 0xd800 || point > 0xdfff);
  return points.length >= 2 && points.length <= 4_096 && rises && isText ? value : refuse('no alphabet');
};

const mergeList: Check = (value) => {
  const merges = base64(20_480)(value);
  tokensSlowly(merges);
  return merges;
};

interface Schema {
  readonly task: string;
  readonly shape: readonly number[];
  readonly inputs: number;
  readonly dtype: string;
  readonly scale: number;
  readonly outputs: number;
  readonly text?: { readonly tokenizer: string; readonly characters?: string; readonly merges?: string };
  readonly classes?: readonly string[];
  readonly columns?: readonly { readonly kind: string; readonly values?: readonly string[] }[];
}
const fitsTask = ({ task, outputs }: { task: string; outputs: number }) =>
  task === 'regression' ? outputs === 1 : outputs >= 2 && (task === 'classification' || outputs <= 30);

export const schema = object(
  {
    task: constant('classification', 'regression', 'multilabel'),
    shape: list(integer(1, 1_000_000), 1, 4),
    inputs: integer(1, 1_000_000),
    dtype: constant('U8', 'F32'),
    scale: integer(1, 65_535),
    outputs: integer(1, 100_000),
    label: optional(text(200)),
    classes: optional(list(text(200), 0, 10_000)),
    target: optional(object({ name: text(200), mean: decimal9, stdDev: spread })),
    columns: optional(list(column, 0, 5_000)),
    text: optional(
      either('tokenizer', {
        char: object({ tokenizer: constant('char'), characters: alphabet }),
        byte: object({ tokenizer: constant('byte') }),
        bpe: object({ tokenizer: constant('bpe'), merges: mergeList }),
      }),
    ),
  },
  (value: Schema) => {
    const { shape, inputs, outputs, dtype, scale, classes, columns, task, text: code } = value;
    if (code !== undefined) {
      const { tokenizer, characters = '', merges = '' } = code;
      const size = { char: [...characters].length, byte: 256, bpe: 256 + fromBase64(merges).length / 4 }[tokenizer];
      if (size === undefined) return false;
      if (task !== 'classification' || shape.length > 1 || scale !== 1 || outputs !== size) return false;
      if ((dtype === 'U8') !== size <= 256 || classes !== undefined || columns !== undefined) return false;
    }
    const width = columns?.reduce((sum, one) => sum + (one.kind === 'numeric' ? 1 : one.values!.length), 0);
    return (
      shape.map(BigInt).reduce((product, size) => product * size, 1n) === BigInt(inputs) &&
      fitsTask(value) &&
      (dtype === 'U8' || scale === 1) &&
      (task !== 'multilabel' || (classes !== undefined && code === undefined)) &&
      (classes === undefined || classes.length === outputs) &&
      (width === undefined || width === inputs)
    );
  },
);

const two = list(integer(1, 65_536), 2, 2);
const pool = (kind: string) =>
  object({ kind: constant(kind), size: two, strides: two, padding: constant('same', 'valid') });

const architectures = {
  logreg: { hidden: list(integer(1, 65_536), 0, 0) },
  mlp: { hidden: list(integer(1, 65_536), 1, 16) },
  cnn: {
    shape: list(integer(1, 65_536), 3, 3),
    filters: list(integer(1, 4_096), 1, 8),
    hidden: list(integer(1, 65_536), 0, 16),
  },
  gpt: { layers: integer(1, 64), heads: integer(1, 256), width: integer(1, 16_384) },
  lstm: { layers: integer(1, 64), width: integer(1, 16_384) },
  sequential: {
    shape: list(integer(1, 1_000_000), 1, 3),
    stack: list(
      either('kind', {
        dense: object({ kind: constant('dense'), units: integer(1, 65_536), bias: boolean }),
        conv: object({
          ...{ kind: constant('conv'), filters: integer(1, 4_096), kernel: two, strides: two },
          ...{ padding: constant('same', 'valid'), bias: boolean },
        }),
        'max-pool': pool('max-pool'),
        'average-pool': pool('average-pool'),
        flatten: object({ kind: constant('flatten') }),
        relu: object({ kind: constant('relu') }),
      }),
      1,
      64,
    ),
  },
};
interface Architecture {
  readonly task: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly shape: readonly number[];
  readonly filters: readonly number[];
  readonly heads: number;
  readonly width: number;
  readonly stack: readonly StackLayer[];
}
interface StackLayer {
  readonly kind: string;
  readonly units?: number;
  readonly filters?: number;
  readonly kernel?: readonly number[];
  readonly size?: readonly number[];
  readonly strides?: readonly number[];
  readonly padding?: string;
}
const product = (sizes: readonly number[]) => sizes.map(BigInt).reduce((all, size) => all * size, 1n);

/** The shape after a layer; undefined where it does not fit. Places are counted one by one. */
function stacked(shape: readonly number[], layer: StackLayer): readonly number[] | undefined {
  const { kind, units, filters, kernel, size, strides, padding } = layer;
  if (kind === 'relu') return shape;
  if (kind === 'flatten') return [Number(product(shape))];
  if (kind === 'dense') return shape.length === 1 ? [units!] : undefined;
  if (shape.length !== 3) return undefined;
  const window = kernel ?? size!;
  const places = [0, 1].map((axis) => {
    let count = 0;
    const end = padding === 'same' ? shape[axis]! : shape[axis]! - window[axis]! + 1;
    for (let at = 0; at < end; at += strides![axis]!) count++;
    return count;
  });
  return places.includes(0) ? undefined : [...places, filters ?? shape[2]!];
}
function endsIn({ shape, inputs, outputs, stack }: Architecture): boolean {
  if (product(shape) !== BigInt(inputs)) return false;
  let last: readonly number[] | undefined = shape;
  for (const layer of stack) {
    last = stacked(last, layer);
    if (last === undefined || product(last) > 2n ** 40n) return false;
  }
  return last.length === 1 && last[0] === outputs;
}
const isSound: Readonly<Record<string, (value: Architecture) => boolean>> = {
  cnn: ({ shape: [height, width, channels], filters, inputs }) =>
    BigInt(height!) * BigInt(width!) * BigInt(channels!) === BigInt(inputs) &&
    filters.reduce(([h, w]) => [Math.floor(h! / 2), Math.floor(w! / 2)], [height, width]).every((size) => size! > 0),
  gpt: ({ width, heads }) => width % heads === 0,
  sequential: endsIn,
};

/** One of several: which, the field `name` says. */
export const model = either(
  'model',
  Object.fromEntries(
    Object.entries(architectures).map(([name, own]) => [
      name,
      object(
        {
          model: constant(name),
          task:
            name === 'gpt' || name === 'lstm'
              ? constant('classification')
              : constant('classification', 'regression', 'multilabel'),
          inputs: integer(1, name === 'gpt' || name === 'lstm' ? 65_536 : 1_000_000),
          outputs: integer(1, 100_000),
          ...own,
        },
        (value: Architecture) => fitsTask(value) && (isSound[name]?.(value) ?? true),
      ),
    ]),
  ),
);

const manifest = object({
  name: text(200),
  part: constant('train', 'a', 'b'),
  schema,
  salt: bytes32,
  listing: constant('private'),
  shards: list(
    object({ examples: integer(1, 2 ** 40), size: integer(1, 2 ** 40), chunks: integer(1, 2 ** 24), commit: hex64 }),
    1,
    1_024,
  ),
  locator: hex64,
});

const evaluation = object({ snapshot: hex64, rows: integer(1, 2 ** 40), commitment: hex64 });
const year = integer(1, 31_536_000);
const rate = { learningRate: decimal };
const outers: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  none: {},
  sgd: rate,
  fedavgm: { ...rate, momentum: part },
  fedadagrad: { ...rate, tau: decimal },
  fedadam: { ...rate, beta1: part, beta2: part, tau: decimal },
  fedyogi: { ...rate, beta1: part, beta2: part, tau: decimal },
  diloco: { ...rate, momentum: part },
};
/** Exactly what belongs to its name. */
const outer: Check = (value) => {
  const name = value instanceof JsonObject ? fieldOf(value, 'name') : undefined;
  if (typeof name !== 'string' || !Object.hasOwn(outers, name)) return refuse('no outer step');
  for (const field of ['learningRate', 'momentum', 'beta1', 'beta2', 'tau'])
    if (!(field in outers[name]!) && fieldOf(value as JsonObject, field) !== undefined) refuse(`${field} with ${name}`);
  return object({ name: constant(name), ...outers[name]! })(value);
};
const share: Check<number> = (value) => (value === '1' ? 1 : part(value));
const plain = (name: string) => object({ name: constant(name) });
const codec = either('name', {
  ...{ f32: plain('f32'), f16: plain('f16'), int8: plain('int8'), int4: plain('int4') },
  topk: object(
    {
      ...{ name: constant('topk'), chunk: integer(2, 65_536), keep: integer(1, 65_536) },
      bits: (value: Json | undefined) => (integer(2, 4)(value) === 3 ? refuse('3 bits') : integer(2, 4)(value)),
      feedback: share,
    },
    (found: { chunk: number; keep: number }) => found.keep <= found.chunk,
  ),
});
const rule = constant(
  ...(['fedavg', 'median', 'trimmed-mean', 'geometric-median', 'norm-clip'] as const),
  ...(['centred-clip', 'krum', 'multi-krum', 'bulyan', 'fltrust'] as const),
);
const hyper = closed(
  {
    optimizer: constant('adam', 'sgd', 'momentum', 'adamw'),
    learningRate: decimal,
    momentum: optional(decimal),
    weightDecay: optional(decimal),
    clipNorm: optional(decimal),
    proximal: optional(decimal),
    warmupSteps: optional(integer(1, 1_000_000)),
    decay: optional(constant('cosine')),
    batch: integer(1, 65_536),
    epochs: optional(integer(1, 1_000)),
    localSteps: optional(integer(1, 1_000_000)),
  },
  (
    hyper: Record<'epochs' | 'localSteps' | 'momentum' | 'weightDecay' | 'proximal', number | undefined> & {
      optimizer: string;
    },
  ) =>
    (hyper.epochs === undefined) !== (hyper.localSteps === undefined) &&
    (hyper.momentum === undefined
      ? hyper.optimizer !== 'momentum'
      : hyper.optimizer === 'momentum' && hyper.momentum < 1) &&
    (hyper.weightDecay === undefined) !== (hyper.optimizer === 'adamw') &&
    (hyper.proximal === undefined || hyper.proximal <= 1_000),
);
const terms = object(
  {
    title: text(200),
    mode: constant('federated'),
    dataset: hex64,
    evalA: evaluation,
    evalB: evaluation,
    model,
    hyper,
    rounds: integer(1, 10_000),
    trainers: integer(1, 1_024),
    shardsPerTrainer: optional(integer(2, 1_024)),
    newKeyShare: optional(integer(0, 1_000_000)),
    quorum: integer(1, 1_024),
    network: constant('bitcoin', 'testnet', 'signet', 'simnet', 'regtest', 'sandbox'),
    rail: constant('instalments', 'key-sale', 'none'),
    ...{ maxPriceMsat: msat, budgetMsat: msat, payoutFloorMsat: msat },
    award: constant('full', 'deadline', 'manual'),
    payment: constant('pay-as-bid', 'uniform'),
    bids: optional(constant('sealed')),
    ...{ bidWindowSec: year, readyTimeoutSec: year, roundTimeoutSec: year },
    ...{ revealTimeoutSec: year, claimWithinSec: year, payWithinSec: year },
    deadline: time,
    maxReplacements: integer(0, 1_024),
    maxHolders: integer(1, 16),
    keyRelease: constant('open', 'known', 'staked'),
    minBidPow: optional(integer(1, 64)),
    verification: constant('floor', 'spot'),
    spot: orNull(object({ ratePpm: integer(0, 1_000_000), everySteps: integer(1, 1_000_000), engine })),
    validators: optional(object({ count: integer(1, 15), feeMsat: msat })),
    disputes: optional(object({ withinSec: year })),
    stake: optional(
      object({
        ...{ trainerMsat: msat, validatorMsat: msat, delegatedPpm: integer(0, 1_000_000) },
        ...{ maxDelegated: integer(0, 1_000), intervalSec: integer(1, 86_400) },
      }),
    ),
    acceptedEngines: list(constant('node', 'webgpu', 'wasm', 'cpu'), 1, 4),
    aggregation: rule,
    attackers: integer(0, 1_024),
    outer,
    codec,
    strictLoss: boolean,
    leastWorkPpm: optional(integer(1, 1_000_000)),
    ...{ seedCommitment: hex64, chainCommitment: hex64 },
    audit: constant('granted', 'open'),
    access: constant('customer', 'open'),
    relays: list(relay, 1, 12),
  },
  (job: {
    quorum: number;
    trainers: number;
    rail: string;
    maxPriceMsat: bigint;
    payoutFloorMsat: bigint;
    verification: string;
    spot: unknown;
    payment: string;
    award: string;
    newKeyShare: number | undefined;
    bids: string | undefined;
    shardsPerTrainer: number | undefined;
    validators?: { feeMsat: bigint };
    stake?: { validatorMsat: bigint };
    keyRelease: string;
    disputes?: object;
  }) =>
    (job.keyRelease !== 'staked' || job.stake !== undefined) &&
    (job.stake === undefined || job.rail !== 'none') &&
    ((job.stake?.validatorMsat ?? 0n) === 0n || (job.validators !== undefined && job.spot !== null)) &&
    (job.disputes === undefined || (job.validators !== undefined && job.spot !== null)) &&
    (job.rail !== 'key-sale' ||
      (job.validators !== undefined && job.shardsPerTrainer === undefined && job.payoutFloorMsat >= 1_000n)) &&
    (job.award !== 'manual' || (job.payment === 'pay-as-bid' && job.newKeyShare === undefined)) &&
    (job.payment !== 'uniform' || (job.bids === 'sealed' && job.shardsPerTrainer === undefined)) &&
    job.quorum <= job.trainers &&
    (job.verification === 'spot') === (job.spot !== null) &&
    (job.rail !== 'none' || (job.maxPriceMsat === 0n && (job.validators?.feeMsat ?? 0n) === 0n)),
);

const arenaModels = ['logreg', 'mlp', 'cnn', 'gpt', 'lstm', 'sequential'] as const;
const arena = object(
  {
    potMsat: msat,
    sides: either('sides', {
      fixed: object({ sides: constant('fixed'), validatorSharePpm: integer(0, 10 ** 6) }),
      byStake: object({ sides: constant('byStake'), gPpm: integer(0, 500_000) }),
    }),
    ...{ interimSharePpm: integer(0, 10 ** 6), qPpm: integer(1, 999_999) },
    ...{
      bestStakes: orNull(integer(1, 1_024)),
      bestValidators: orNull(integer(1, 15)),
      lambdaPpm: integer(0, 10 ** 9),
    },
    ...{ seats: integer(3, 15), submissionsPerDay: integer(1, 24), maxModelBytes: integer(1, 2 ** 40) },
    models: list(constant(...arenaModels), 1, 6),
    ...{ interimUntil: time, finalUntil: time },
  },
  (found: { seats: number; models: readonly string[]; interimUntil: number; finalUntil: number }) =>
    found.seats % 2 === 1 &&
    new Set(found.models).size === found.models.length &&
    found.interimUntil < found.finalUntil,
);
const stakeAsked = object({
  ...{ trainerMsat: msat, validatorMsat: msat, delegatedPpm: integer(0, 1_000_000) },
  ...{ maxDelegated: integer(0, 1_000), intervalSec: integer(1, 86_400) },
});
const arenaJob = object(
  {
    ...{ title: text(200), mode: constant('arena'), dataset: hex64, evalA: evaluation, evalB: evaluation, arena },
    network: constant('bitcoin', 'testnet', 'signet', 'simnet', 'regtest', 'sandbox'),
    rail: constant('instalments', 'none'),
    ...{ payoutFloorMsat: msat, revealTimeoutSec: year, claimWithinSec: year, payWithinSec: year },
    keyRelease: constant('open', 'known', 'staked'),
    stake: optional(stakeAsked),
    acceptedEngines: list(constant('node', 'webgpu', 'wasm', 'cpu'), 1, 4),
    ...{ chainCommitment: hex64, audit: constant('granted', 'open'), access: constant('customer', 'open') },
    relays: list(relay, 1, 12),
  },
  (job: { arena: { potMsat: bigint }; rail: string; stake?: object; keyRelease: string }) =>
    (job.rail !== 'none' || (job.arena.potMsat === 0n && job.stake === undefined)) &&
    (job.keyRelease !== 'staked' || job.stake !== undefined),
);

const proposers: Check = (value) =>
  (value instanceof JsonObject && fieldOf(value, 'count') !== undefined
    ? closed({ count: integer(1, 200) })
    : closed({ sharePpm: integer(1, 999_999) }))(value);
const alliance = object({
  ...{ potMsat: msat, proposers, minVoters: integer(1, 200), tolerancePpm: integer(0, 10 ** 6) },
  ...{ allianceSlashPpm: orNull(integer(1, 10 ** 6)), groupCommitment: hex64 },
});
const allianceJob = object(
  {
    ...{ title: text(200), mode: constant('alliance'), schema, model, hyper },
    rounds: integer(1, 1_000),
    aggregation: (value) => (value === 'fltrust' ? refuse('a root update') : rule(value)),
    ...{ attackers: integer(0, 200), seed: bytes32, alliance },
    network: constant('bitcoin', 'testnet', 'signet', 'simnet', 'regtest', 'sandbox'),
    rail: constant('instalments', 'none'),
    ...{ payoutFloorMsat: msat, roundTimeoutSec: year, voteTimeoutSec: year, revealTimeoutSec: year },
    ...{ claimWithinSec: year, payWithinSec: year, deadline: time },
    stake: optional(stakeAsked),
    acceptedEngines: list(constant('node', 'webgpu', 'wasm', 'cpu'), 1, 4),
    chainCommitment: hex64,
    relays: list(relay, 1, 12),
  },
  (job: {
    schema: { inputs: number; outputs: number };
    model: { inputs: number; outputs: number };
    rail: string;
    stake?: { trainerMsat: bigint };
    alliance: { potMsat: bigint; allianceSlashPpm: number | null };
  }) =>
    job.schema.inputs === job.model.inputs &&
    job.schema.outputs === job.model.outputs &&
    (job.rail !== 'none' || (job.alliance.potMsat === 0n && job.stake === undefined)) &&
    (job.alliance.allianceSlashPpm === null || (job.stake?.trainerMsat ?? 0n) > 0n),
);
const allianceRound = integer(0, 999);
const upTo200 = list(hex64, 0, 200);
const stage = integer(0, 1);
const arenaScore = integer(0, 999_000_000);
const purposeOf =
  (...names: readonly string[]): Check<string> =>
  (value) => {
    const name = typeof value === 'string' ? value : '';
    if (!name.startsWith('delegation:')) return constant(...names)(value);
    return `delegation:${hex64(name.slice('delegation:'.length))}`;
  };
const arenaPurpose = purposeOf('trainer', 'fee', 'carry', 'refund');
const alliancePurpose = purposeOf('trainer', 'fee', 'bonus', 'carry', 'refund');
const sealedChars: Check<string> = (value) =>
  typeof value === 'string' && value.length === 11_012 ? base64(11_012)(value) : refuse('not as long as every model');

const bidRule = constant(
  ...(['own-job', 'blocked', 'price-above-ceiling', 'engine-not-accepted', 'expired'] as const),
  ...(['sealed', 'web-of-trust', 'proof-of-work', 'unknown-key', 'unstaked'] as const),
);
const openedBid = {
  ...{ capacity: integer(1, 1_024), engine, throughput: integer(0, 10 ** 9), expires: time, salt: bytes32 },
};
const opened = object(openedBid);
export const sealedBid = object({ ...openedBid, priceMsat: msat });
const considered = object({
  ...{ bid: hex64, trainer: hex64, priceMsat: msat, effectiveMsat: msat },
  ...{ attempts: integer(0, 1_000_000), successes: integer(0, 1_000_000) },
  outcome: constant('won', 'spare', 'refused'),
  shards: optional(integer(2, 1_024)),
  stakeMsat: optional(msat),
  rule: optional(bidRule),
  opened: optional(opened),
});
const seat = object({ trainer: hex64, shard });
const submission = object({ submission: hex64, trainer: hex64, shard });
const rejection = constant(
  ...(['absent', 'no-reveal', 'opening', 'base', 'residual', 'engine', 'sale', 'blob', 'shape'] as const),
  ...(['unchanged', 'copy', 'loss', 'work-floor', 'spot-check'] as const),
);
/** Up to 127 states between the segments: segments are counted from 0. */
const segment = integer(0, 127);
const measures = [
  ...(['ownBeforePpm', 'ownAfterPpm', 'otherBeforePpm', 'otherAfterPpm', 'ownSePpm', 'otherSePpm'] as const),
  ...(['dPpm', 'ePpm', 'lossPpm'] as const),
] as const;
const measure = constant(...measures);
const measured = constant(...measures, 'spot');
const score = object({
  ...{ submission: hex64, trainer: hex64, shard },
  ...{ ownBeforePpm: loss, ownAfterPpm: loss, otherBeforePpm: loss, otherAfterPpm: loss },
  ...{ ownSePpm: loss, otherSePpm: loss, dPpm: ppm, ePpm: ppm, lossPpm: loss },
  spot: orNull(object({ segment, hash: hex64 })),
});
const artifact = object({
  ...{ model, schema, weights: pointer, inline, key: orNull(bytes32), rounds: round },
  ...{ lossPpm: loss, accuracyPpm: orNull(ppm), trainers: list(object({ trainer: hex64, rounds: round }), 0, 1_024) },
});
const offer = object({
  ...{ role: constant('trainer', 'validator'), engine, throughput: integer(0, 10 ** 9) },
  network: constant('bitcoin', 'testnet', 'signet', 'simnet', 'regtest', 'sandbox'),
  ...{ leastMsat: msat, tflopMsat: orNull(msat), perJobPpm: integer(0, 10_000_000) },
  models: list(constant('logreg', 'mlp', 'cnn', 'gpt', 'lstm', 'sequential'), 1, 16),
  ...{ maxParams: integer(1, 10 ** 12), maxBytes: integer(1, 2 ** 40), maxSeconds: year, shards: integer(1, 1_024) },
  ...{ expires: time, relays: list(relay, 1, 8) },
});
const reason = object({ reason: text(500) });
const listed = constant('commit', 'reveal', 'score-commit', 'score-reveal');
const seen = constant('commit', 'reveal', 'score-commit', 'score-reveal', 'nonce');
const ids = list(hex64, 0, 1_024);
const staked = constant('trainer', 'validator');
const purpose: Check<string> = (value) => {
  const name = typeof value === 'string' ? value : '';
  if (!name.startsWith('delegation:')) return constant('trainer', 'fee', 'bonus', 'correction')(value);
  return `delegation:${hex64(name.slice('delegation:'.length))}`;
};
const sigma = integer(0, 10 ** 6);

/** By `kind/phase`; the phase is empty where a kind has none. */
export const contents: Readonly<Record<string, Check>> = {
  '4620/': manifest,
  '34620/': manifest,
  '34621/': artifact,
  '34622/': offer,
  '4623/': terms,
  '4625/bid': object({
    ...{ priceMsat: msat, capacity: integer(1, 1_024), engine, throughput: integer(0, 10 ** 9), expires: time },
    lock: optional(hex64),
  }),
  '4625/sealed': object({ commitment: hex64, sealed, lock: optional(hex64) }),
  '4625/withdrawn': reason,
  '4626/award': object({
    bids: list(considered, 0, 1_024),
    winners: list(object({ trainer: hex64, bid: hex64, shard, priceMsat: msat, grant: hex64 }), 1, 1_024),
    rule: object({ name: rule, f: integer(0, 1_024), m: integer(0, 1_024) }),
    withheld: optional(integer(1, 1_024)),
    counted: optional(list(hex64, 1, 64)),
    validators: optional(list(object({ validator: hex64, register: hex64, grant: hex64 }), 1, 15)),
  }),
  '4626/replace': object({
    shard,
    out: orNull(hex64),
    reason: constant('not-started', 'absent', 'rejected', 'grant-bad', 'resigned', 'fraud', 'vacant', 'unstaked'),
    in: orNull(object({ trainer: hex64, bid: hex64, priceMsat: msat, grant: hex64 })),
    degraded,
  }),
  '4626/cancel': reason,
  '4628/ready': object({ award: hex64, shard, grant: hex64 }),
  '4628/grant-bad': object({
    ...{ award: hex64, shard, rule: constant('hash', 'key', 'locator', 'blob', 'rows'), detail: text(500) },
  }),
  '4628/resign': reason,
  '4622/open': object({ round, base: pointer, inline, difference, trainers: list(seat, 1, 1_024), until: time }),
  '4622/seen': object({ round, of: seen, ids }),
  '4622/list': object({ round, of: listed, ids, until: orNull(time), degraded }),
  '4622/draw': object({ round, list: hex64, s: bytes32, nonces: optional(list(hex64, 1, 15)) }),
  '4622/close': object({
    ...{ round, list: hex64, scores: hex64, accepted: list(submission, 0, 1_024) },
    rejected: list(
      object({ submission: orNull(hex64), trainer: hex64, shard, rule: rejection, detail: text(500) }),
      0,
      1_024,
    ),
    ...{
      aggregate: hex64,
      outerState: optional(hex64),
      root: optional(pointer),
      lossPpm: loss,
      accuracyPpm: orNull(ppm),
      engine: optional(engine),
    },
  }),
  '4622/sold': object({
    ...{ round, settlement: hex64, sold: list(submission, 0, 1_024), aggregate: hex64 },
    ...{ outerState: optional(hex64), lossPpm: loss, accuracyPpm: orNull(ppm), engine: optional(engine) },
  }),
  '4622/void': object({ round, reason: constant('no-quorum'), degraded }),
  '4627/commit': object({ round, shard, open: hex64, commitment: hex64 }),
  '4627/reveal': object({
    ...{ round, shard, list: hex64, commit: hex64, salt: bytes32, baseHash: hex64, updateHash: hex64 },
    ...{ engine, checkpoints: list(hex64, 0, 127), sealed, inline },
    residual: optional(object({ before: orNull(hex64), after: hex64 })),
    sale: optional(object({ paymentHash: hex64, ciphertext: hex64, key: hex64, z: hex64, wrapped: hex64 })),
  }),
  '4629/register': object({
    engine,
    nonceCommitment: hex64,
    disputeCommitment: optional(hex64),
    expires: time,
    lock: optional(hex64),
  }),
  '4629/dispute-nonce': object({ round, dispute: hex64, nonce: bytes32 }),
  '4629/verdict': object({ round, shard, draw: hex64, engine, segment, hash: hex64 }),
  '4629/nonce': object({ round, list: hex64, nonce: bytes32 }),
  '4629/commit': object({ round, list: hex64, commitment: hex64 }),
  '4629/reveal': object({
    ...{ round, list: hex64, engine, data: hex64, scores: list(score, 0, 1_024) },
    opening: optional(object({ list: hex64, commit: hex64, salt: bytes32 })),
  }),
  '4630/': object({
    ...{ round, close: hex64 },
    plan: list(object({ payout: hex64, payee: hex64, purpose, amountMsat: msat }), 0, 1_024),
    totalMsat: msat,
  }),
  '4631/slash': object({ lock: hex64, evidence: list(hex64, 1, 2) }),
  '4631/stake': object({ lock: hex64, amountMsat: msat, role: staked, sigmaPpm: sigma }),
  '4631/delegate': object({ lock: hex64, amountMsat: msat, operator: hex64 }),
  '4631/withdraw': object({ of: hex64 }),
  '4631/table': object({
    interval: integer(0, 10 ** 6),
    events: list(hex64, 0, 400),
    rows: list(object({ operator: hex64, role: staked, ownMsat: msat, delegatedMsat: msat, sigmaPpm: sigma }), 0, 200),
  }),
  '4633/claim': object({ settlement: hex64, payout: hex64, amountMsat: msat, invoiceHash: hex64, sealed }),
  '4633/void': object({ claim: hex64, payout: hex64, paymentHash: hex64, reason: text(500) }),
  '4628/receipt': object({
    ...{ settlement: hex64, payout: hex64, claim: hex64, payee: hex64, amountMsat: msat, invoice },
    ...{ paymentHash: hex64, preimage: bytes32 },
  }),
  '4628/received': object({ receipt: hex64, payout: hex64, amountMsat: msat }),
  '4628/unpaid': object({ settlement: hex64, payout: hex64, claim: hex64, amountMsat: msat, degraded }),
  '4628/claim-bad': object(
    {
      ...{ claim: hex64, payout: hex64, invoice: orNull(invoice), detail: text(500) },
      rule: constant('sealed', 'text', 'network', 'amount', 'claim', 'expiry', 'hold', 'sale', 'reused'),
    },
    (bad: { rule: string; invoice: unknown }) => (bad.rule === 'sealed') === (bad.invoice === null),
  ),
  '4628/fraud': object({
    ...{ round, shard, trainer: hex64, submission: hex64, scores: hex64 },
    ...{ segment, committed: hex64, repeated: hex64 },
    ends: optional(list(hex64, 1, 128)),
  }),
  '4628/complaint': object({
    ...{ round, shard, subject: hex64, engine, detail: text(500) },
    found: either('what', {
      score: object({ what: constant('score'), field: measure, ppm }),
      segment: object({ what: constant('segment'), segment, hash: hex64 }),
    }),
  }),
  '4628/dispute': object({ round, shard, complaint: hex64 }),
  '4628/dispute-draw': object({ round, dispute: hex64, nonces: optional(list(hex64, 1, 15)) }),
  '4628/key-fraud': object({
    ...{ round, shard, trainer: hex64, submission: hex64, preimage: bytes32, z: bytes32, wrapped: bytes32 },
  }),
  '4628/validator-fraud': object({
    ...{ round, validator: hex64, scores: hex64, submission: hex64, shard },
    ...{ field: measured, witnesses: list(hex64, 1, 15) },
  }),
  '4632/': artifact,
  '4623/arena': arenaJob,
  '4625/enter': object({ expires: time, lock: optional(hex64) }),
  '4627/submit': object({ stage, commitment: hex64, sealed: sealedChars }),
  '4622/arena-seen': object({ stage, interval: integer(0, 10 ** 6), ids }),
  '4622/arena-list': object({ stage, ids, until: time, degraded }),
  '4622/alias-root': object({
    ...{ stage, list: hex64, root: hex64, count: integer(0, 1_024), validators: list(hex64, 0, 15) },
  }),
  '4622/alias-table': object({
    ...{ stage, root: hex64, salt: bytes32 },
    entries: list(
      object(
        { submission: hex64, model: orNull(hex64), salt: orNull(bytes32) },
        (entry: { model: unknown; salt: unknown }) => (entry.model === null) === (entry.salt === null),
      ),
      0,
      1_024,
    ),
  }),
  '4629/arena-reveal': object({
    ...{ round, list: hex64, commit: hex64, salt: bytes32, engine, data: hex64 },
    scores: list(
      object(
        { alias: integer(0, 1_023), model: orNull(hex64), scorePpm: arenaScore },
        (row: { model: unknown; scorePpm: number }) => row.model !== null || row.scorePpm === 999_000_000,
      ),
      1,
      1_024,
    ),
  }),
  '4622/ranking': object({
    ...{ stage, table: hex64 },
    ranks: list(object({ submission: hex64, trainer: hex64, scorePpm: arenaScore }), 0, 1_024),
  }),
  '4630/arena': object({
    ...{ stage, ranking: hex64, totalMsat: msat },
    plan: list(object({ payout: hex64, payee: hex64, purpose: arenaPurpose, amountMsat: msat }), 0, 4_096),
  }),
  '4623/alliance': allianceJob,
  '4622/alliance-open': object({ round: allianceRound, members: upTo200, until: time }),
  '4622/roles': object({ round: allianceRound, list: hex64, s: bytes32, nonces: upTo200, until: time }),
  '4627/proposal': object({
    ...{ round: allianceRound, list: hex64, commit: hex64, salt: bytes32, model: hex64, engine, pointer, inline },
  }),
  '4629/vote': object({
    ...{ round: allianceRound, list: hex64, commit: hex64, salt: bytes32, proposals: upTo200, aggregate: hex64 },
    ...{
      vote: (value) => (integer(-1, 1)(value) === 0 ? refuse('0') : integer(-1, 1)(value)),
      beforePpm: arenaScore,
      afterPpm: arenaScore,
      engine,
    },
  }),
  '4630/alliance': object({
    ...{ round: allianceRound, last: hex64, aggregate: orNull(hex64), isAccepted: boolean, totalMsat: msat },
    plan: list(object({ payout: hex64, payee: hex64, purpose: alliancePurpose, amountMsat: msat }), 0, 4_096),
  }),
};

/** What a reveal and a claim seal to the customer. */
const sealedBlob = { key: bytes32, pointer };
const sealedState = orNull(object({ ...sealedBlob, coding: optional(constant('ordered-words')) }));
export const sealedUpdate = object({ ...sealedBlob, state: sealedState });
const saleState = orNull(object({ pointer, coding: optional(constant('ordered-words')) }));
export const sealedSale = object({
  ...{ z: bytes32, wrapped: bytes32, pointer, state: saleState },
  chunks: optional(base64(25_600)),
});
export const sealedClaim = object({ invoice });
const modelFields = {
  ...{ key: bytes32, salt: bytes32, pointer },
  metrics: object({ lossPpm: loss, accuracyPpm: orNull(ppm) }),
};
export const sealedModel = object(modelFields);

export const shardGrant = object({
  ...{ purpose: constant('shard'), job: hex64, snapshot: hex64, shard, key: bytes32, seed: bytes32 },
  locator: (value) => (typeof value === 'string' && value.length <= 26_000 ? value : refuse('no locator')),
  ...{ blind: bytes32, notAfter: time },
});
const before = optional(list(bytes32, 1, 8));
export const roundGrant = object({
  purpose: constant('round'),
  job: hex64,
  round,
  key: bytes32,
  before,
  notAfter: time,
});
export const evalGrant = object({
  ...{ purpose: constant('eval'), job: hex64, snapshot: hex64, key: bytes32, scoring: bytes32 },
  locator: (value) => (typeof value === 'string' && value.length <= 26_000 ? value : refuse('no locator')),
  ...{ blind: bytes32, notAfter: time },
});
export const updateGrant = object({
  ...{ purpose: constant('update'), job: hex64, submission: hex64, update: orNull(sealedUpdate), notAfter: time },
});
export const segmentGrant = object({
  ...{ purpose: constant('segment'), job: hex64, draw: hex64, state: sealedState, notAfter: time },
});
export const groupGrant = object({ purpose: constant('group'), job: hex64, key: bytes32, notAfter: time });
export const modelGrant = object({
  ...{ purpose: constant('model'), job: hex64, root: hex64, alias: integer(0, 1_023), notAfter: time },
  model: orNull(object({ key: bytes32, pointer })),
});
export const locator = object({ upload: hex64, shards: list(pointer, 1, 1_024) });

const epochKeys = {
  locator: (value: Json | undefined) =>
    typeof value === 'string' && value.length <= 4_000_000 ? value : refuse('no locator'),
  ...{ blind: bytes32, shards: list(bytes32, 1, 1_024) },
};
const evaluationKeys = object({ ...epochKeys, salt: bytes32 });
const dataKeys = object({ chain: bytes32, train: object(epochKeys), a: evaluationKeys, b: evaluationKeys });

/** What collect-model writes for an auditor: not on the wire, of the same scalars. */
export const auditKeys = object({
  ...{ job: hex64, seed: bytes32, rounds: list(object({ round, key: bytes32 }), 0, 10_000) },
  roots: optional(list(object({ round, key: bytes32 }), 0, 10_000)),
  updates: list(object({ submission: hex64, ...sealedBlob, state: sealedState }), 0, 1_000_000),
  artifact: orNull(bytes32),
  heads: optional(list(object({ author: hex64, event: hex64 }), 0, 100_000)),
  data: optional(dataKeys),
});
/** The same of an arena. */
export const arenaAuditKeys = object({
  ...{ job: hex64, mode: constant('arena') },
  models: list(object({ ...modelFields, submission: hex64 }), 0, 10_000),
  data: optional(object({ a: evaluationKeys, b: evaluationKeys })),
});
