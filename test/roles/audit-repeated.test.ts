import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { CODEC_PRESETS, encodeUpdate } from '../../src/learning/codec/codec.js';
import { initialParams, paramsHash } from '../../src/learning/params.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { trainingSeed } from '../../src/learning/seeds.js';
import { stateHash } from '../../src/learning/train-state.js';
import type { EngineId, ParamSet } from '../../src/learning/types.js';
import { workEnd } from '../../src/market/spot-rules.js';
import type { JobState, RoundState } from '../../src/market/state.js';
import type { EventOf } from '../../src/protocol/events.js';
import { encodeAuditKeys, type Audit, type AuditKeys } from '../../src/roles/audit.js';
import type { CustomerEnv } from '../../src/roles/customer-env.js';
import { endUnopened, type AgreedTraining } from '../../src/roles/spot-check.js';
import {
  createWorld,
  ENGINE_ID,
  type CustomerOptions,
  type RunOptions,
  type World,
  type WorldOptions,
} from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';
import { stubEngine } from '../support/stub-engine.js';
import { madeUpStates, rogueTrainer, tampering, type Forge } from './rogue.js';

/** Who says of a repeated segment what is not so: only who repeats it again can see it. */

const small = { trainers: 3, rounds: 1, rail: 'none', job: { quorum: 2 } } as const;
type Row = { readonly trainer: string; readonly spot: { readonly segment: number; readonly hash: string } | null };
type Content = Record<string, unknown>;

/** Scores of which each row is what `change` makes of it. */
const rowsOf = (content: Content, change: (row: Row) => readonly Row[]): Content | undefined =>
  Array.isArray(content['scores']) ? { ...content, scores: (content['scores'] as Row[]).flatMap(change) } : undefined;
const saying = (change: (row: Row) => readonly Row[]): CustomerOptions => ({
  signer: (own) => tampering(own, (phase, content) => (phase === 'reveal' ? rowsOf(content, change) : undefined)),
});

/** Nearly its last change of the model again, with honest states: whoever repeats all of it finds the last segment. */
const whole = { name: 'whole', rounds: 2, job: { quorum: 2, spotRate: 0 } } as const;
function replayed(onHash: (hash: string) => void = () => undefined): Forge {
  let first: readonly ParamSet[] = [];
  return ({ base, states, round }) => {
    if (round.round === 0) {
      first = [base, states.at(-1)!.tensors];
      return {};
    }
    const again = base.map((tensor, t) => ({
      ...tensor,
      data: tensor.data.map((value, i) => value + (first[1]![t]!.data[i]! - first[0]![t]!.data[i]!) * 1.0001),
    }));
    const bytes = encodeParams(again);
    onHash(sha256Hex(bytes));
    return { bytes };
  };
}

/** The updates of the first round, and no other. */
const buysOnce = (env: CustomerEnv): CustomerEnv => ({
  ...env,
  payer: {
    ...env.payer!,
    pay: async (request) =>
      request.round.round === 0 || request.paymentHash === undefined
        ? env.payer!.pay(request)
        : { kind: 'held', why: 'not today', cause: 'refused' },
  },
});

async function played(options: WorldOptions, run: RunOptions): Promise<{ world: World; state: JobState }> {
  const world = await createWorld({ ...small, ...options });
  const { state, customer } = await world.run(run);
  if (customer instanceof Error) throw customer;
  expect(state.phase).toBe('finished');
  return { world, state };
}
/** With the data; the second audit must come to the same. */
async function auditTwice(world: World, keys?: AuditKeys): Promise<Audit> {
  const given = keys ?? (await world.allKeys());
  const audit = await world.auditAll({ keys: async () => given });
  const second = secondAudit(world.network.events(), world.jobId, encodeAuditKeys(given), world.clock.nowSec());
  expect([second.verdict, second.event], second.why ?? '').toEqual(
    audit.found === null ? ['PASS', null] : ['FAIL', audit.found.event],
  );
  return audit;
}
/** From signed events and with the keys nothing is to be seen of it. */
async function expectUnseen(world: World): Promise<void> {
  const { open, keyed } = await world.audit();
  expect([open, keyed]).toEqual([null, null]);
}

describe('the audit with the data repeats what was repeated', () => {
  it('of an honest job: every drawn segment', async () => {
    const { world, state } = await played({ name: 'repeated', rounds: 3 }, {});
    const rows = state.rounds.flatMap(({ scores }) => scores!.content.scores);
    const segments = rows.filter(({ spot }) => spot !== null).length;
    // All first updates; which later ones follows from lists whose ids differ from run to run.
    expect(segments).toBeGreaterThanOrEqual(3);
    expect(await auditTwice(world)).toMatchObject({ level: 'data', found: null, repeated: { segments, why: null } });
    expect(await world.auditAll({ upTo: 'keys' })).toMatchObject({ level: 'keys', repeated: null });
  });

  it('of a trainer that forged: the proof holds', async () => {
    const { world, state } = await played(
      { name: 'forged states' },
      { trainers: { 1: { act: rogueTrainer(madeUpStates) } } },
    );
    expect([...state.frauds.keys()]).toEqual([world.trainers[1]!.signer.pubkey]);
    expect(await auditTwice(world)).toMatchObject({ level: 'data', found: null, repeated: { segments: 3, why: null } });
  });

  it('also of a training that was repeated as a whole, because it looked like an earlier one', async () => {
    const { world, state } = await played(whole, { trainers: { 1: { act: rogueTrainer(replayed()) } } });
    const { pubkey } = world.trainers[1]!.signer;
    expect(state.frauds.get(pubkey)?.content).toMatchObject({ round: 1, segment: 7 });
    expect(await auditTwice(world)).toMatchObject({ found: null, repeated: { segments: 4, why: null } });
  });

  it('stays without it where another engine loads, and says why', async () => {
    const { world } = await played({ name: 'elsewhere' }, {});
    const other = { ...world.engine, id: 'cpu/99999999/stub/x64' as EngineId };
    expect(await world.auditAll({ engine: async () => other })).toMatchObject({
      ...{ level: 'data', found: null, engine: other.id },
      repeated: { segments: 0, why: `this is ${other.id}, only ${ENGINE_ID} ends in the same bits` },
    });
  });

  it('has nothing to repeat where the customer measured on another engine than the job names', async () => {
    const other = 'cpu/99999999/stub/x64' as EngineId;
    const { world } = await played(
      { name: 'moved' },
      { customer: { adapt: (env) => ({ ...env, engine: async () => ({ ...(await env.engine()), id: other }) }) } },
    );
    expect(await auditTwice(world)).toMatchObject({
      ...{ level: 'data', found: null },
      repeated: { segments: 0, why: expect.stringContaining('it repeated nothing either') },
    });
  });

  it('has none to repeat in a job without spot checks', async () => {
    const { world } = await played({ name: 'floor', job: { quorum: 2, verification: 'floor' } }, {});
    expect(await auditTwice(world)).toMatchObject({ level: 'data', found: null, repeated: null });
  });
});

describe('a drawn segment of an update that was not bought', () => {
  const model = { model: 'logreg', task: 'regression', inputs: 1, outputs: 1, hidden: [] } as const;
  const engine = stubEngine();
  const seed = new Uint8Array(32);
  const trainer = 'aa'.repeat(32) as AgreedTraining['trainer'];
  const training = (codec: AgreedTraining['terms']['codec']): AgreedTraining => ({
    terms: {
      ...{ model, codec, spot: { everySteps: 2 } as AgreedTraining['terms']['spot'] },
      hyper: { optimizer: 'sgd', learningRate: 0.1, batch: 1, localSteps: 5 },
    },
    base: initialParams(model, seed),
    examples: { rows: 1, inputs: 1, features: Float32Array.of(1), scale: 1, labels: Float32Array.of(1) },
    ...{ seed, round: 0, shard: 0, trainer },
  });
  /** What an honest trainer commits to, and what each of its segments ends in. */
  async function workOf(agreed: AgreedTraining) {
    const { terms, base, examples } = agreed;
    const own = trainingSeed(seed, 0, 0, trainer);
    const ends: string[] = [];
    const { weights } = await engine.train(
      { model, hyper: terms.hyper, weights: base, examples, seed: own, stateEvery: 2 },
      undefined,
      undefined,
      (state) => ends.push(stateHash(state)),
    );
    const { bytes, residual } = encodeUpdate(terms.codec, base, weights, null, own);
    if (terms.codec.name !== 'f32') ends.push(paramsHash(weights));
    const checkpoints = [...ends];
    const after = residual === null ? undefined : paramsHash(residual);
    ends.push(workEnd(sha256Hex(bytes), after));
    const content = { checkpoints, ...(after !== undefined && { residual: { before: null, after } }) };
    return { content: content as never as EventOf<'reveal'>['content'], ends };
  }

  it.each(['f32', 'f16', 'int8', 'topk'] as const)(
    'is repeated from the base, its encoding as well: %s',
    async (codec) => {
      const agreed = training(CODEC_PRESETS[codec]);
      const { content, ends } = await workOf(agreed);
      expect(ends).toHaveLength(codec === 'f32' ? 3 : 4);
      for (const [segment, end] of ends.entries())
        expect(await endUnopened(engine, agreed, content, segment), `segment ${segment}`).toBe(end);
    },
  );

  it('cannot be where it starts from another state than the training reaches', async () => {
    const agreed = training(CODEC_PRESETS.f16);
    const { content, ends } = await workOf(agreed);
    const forged = content.checkpoints.map((end, at) => (at === 1 ? sha256Hex('made up') : end));
    const again = (segment: number) => endUnopened(engine, agreed, { ...content, checkpoints: forged }, segment);
    expect([await again(0), await again(1), await again(2), await again(3)]).toEqual([ends[0], ends[1], null, ends[3]]);
  });

  it('cannot be where it encodes what rounds before left out', async () => {
    const agreed = training(CODEC_PRESETS.topk);
    const { content, ends } = await workOf(agreed);
    const later = { ...content, residual: { ...content.residual!, before: sha256Hex('left out') } };
    const again = (segment: number) => endUnopened(engine, agreed, later, segment);
    expect([await again(2), await again(3)]).toEqual([ends[2], null]);
  });

  it('is counted by an audit, or named as closed', async () => {
    // One segment of training and one encoding: none of four draws falls on an encoding once in 16.
    const job = { validators: 1, validatorFeeSats: 5, codec: 'topk', keep: 0.2, segments: 1, spotRate: 1 } as const;
    const market = { trainers: 4, validators: 1, rounds: 2, rail: 'key-sale' } as const;
    const world = await createWorld({ name: 'not bought', ...market, job: { ...job, payWithin: '60s' } });
    const { state } = await world.run({ customer: { adapt: buysOnce } });
    expect(state.rounds.map(({ sold }) => sold?.content.sold.length)).toEqual([4, 0]);
    const encodes = ({ verdict }: RoundState) => verdict!.rows.filter(({ spot }) => spot!.segment === 1).length;
    const closed = encodes(state.rounds[1]!);
    expect(await world.auditAll()).toMatchObject({
      ...{ level: 'data', found: null },
      repeated: { segments: 8 - closed, why: closed === 0 ? null : expect.stringContaining('was not bought') },
    });
  });
});

describe('the audit with the data fails a customer', () => {
  it('that accuses an honest trainer: the accusation is false', async () => {
    const lie = sha256Hex('something else');
    const worldOf = createWorld({ ...small, name: 'accused' });
    const victim = (await worldOf).trainers[1]!.signer.pubkey;
    const { world, state } = await played(
      { name: 'accused' },
      {
        customer: saying((row) => [row.trainer === victim ? { ...row, spot: { ...row.spot!, hash: lie } } : row]),
      },
    );
    expect(state.frauds.get(victim)?.content.repeated).toBe(lie);
    await expectUnseen(world);
    expect(await auditTwice(world)).toMatchObject({
      level: 'data',
      found: {
        ...{ event: state.rounds[0]!.scores!.id, rule: 'spot-check' },
        detail: expect.stringMatching(`accuses ${victim} falsely: segment \\d ends in .*, published was ${lie}`),
      },
    });
  });

  it('that looks away: the segment does not end in what it says', async () => {
    let committed = new Map<string, readonly string[]>();
    const forge: Forge = async (loot) => {
      const forgery = await madeUpStates(loot);
      committed = new Map([[loot.env.signer.pubkey, forgery!.checkpoints!]]);
      return forgery;
    };
    const blind = saying((row) => {
      const ends = committed.get(row.trainer);
      const hash = ends?.[row.spot!.segment];
      return [hash === undefined ? row : { ...row, spot: { ...row.spot!, hash } }];
    });
    // A name in whose first round a middle segment of it is drawn.
    const { world, state } = await played(
      { name: 'blind' },
      { customer: blind, trainers: { 1: { act: rogueTrainer(forge) } } },
    );
    expect(state.frauds.size).toBe(0);
    expect(state.rounds[0]!.close!.content.accepted).toHaveLength(3);
    await expectUnseen(world);
    expect((await auditTwice(world)).found).toMatchObject({
      ...{ event: state.rounds[0]!.scores!.id, rule: 'spot-check' },
      detail: expect.stringMatching(new RegExp(`^segment \\d of ${world.trainers[1]!.signer.pubkey} ends in `)),
    });
  });

  it('that says a whole training ended in the update, which it did not', async () => {
    let hash = '';
    const blind = saying((row) => [
      row.spot?.segment === 7 && hash !== '' ? { ...row, spot: { segment: 7, hash } } : row,
    ]);
    const act = rogueTrainer(replayed((of) => (hash = of)));
    const { world, state } = await played(whole, { customer: blind, trainers: { 1: { act } } });
    expect(state.frauds.size).toBe(0);
    await expectUnseen(world);
    expect((await auditTwice(world)).found).toMatchObject({
      ...{ event: state.rounds[1]!.scores!.id, rule: 'spot-check' },
      detail: expect.stringContaining(`published was ${hash}`),
    });
  });

  it('that says a state did not open which opens: the keys are enough', async () => {
    const first = (await createWorld({ ...small, name: 'opens' })).trainers[0]!.signer.pubkey;
    const { world, state } = await played(
      { name: 'opens' },
      {
        customer: {
          signer: (own) =>
            tampering(own, (phase, content) => {
              if (phase === 'reveal') return rowsOf(content, (row) => (row.trainer === first ? [] : [row]));
              if (phase !== 'close') return undefined;
              const rejected = content['rejected'] as Content[];
              return { ...content, rejected: rejected.map((row) => ({ ...row, rule: 'spot-check', detail: 'no' })) };
            }),
        },
      },
    );
    expect(state.rounds[0]!.close!.content.rejected).toMatchObject([{ trainer: first, rule: 'spot-check' }]);
    const { open, keyed } = await world.audit();
    expect(open).toBeNull();
    expect(keyed).toMatchObject({ event: state.rounds[0]!.scores!.id, rule: 'scores' });
  });

  it('whose keys lack the state that an accusation rests on: it names the update', async () => {
    // In its first round the liar's drawn segment is not the first one.
    const { world, state } = await played(
      { name: 'forged states' },
      { trainers: { 1: { act: rogueTrainer(madeUpStates) } } },
    );
    const [fraud] = [...state.frauds.values()];
    expect(fraud!.content.segment).toBeGreaterThan(0);
    const keys = await world.allKeys();
    const updates = keys.updates.map((update) =>
      update.submission === fraud!.content.submission ? { ...update, state: null } : update,
    );
    expect((await auditTwice(world, { ...keys, updates })).found).toMatchObject({
      ...{ event: fraud!.content.submission, rule: 'spot-check' },
      detail: expect.stringContaining('it is not in the reveal'),
    });
  });
});
