import { describe, expect, test } from 'vitest';
import { sha256, sha256Hex, type EventId, type Sha256 } from '../../src/hash.js';
import { encodeDifference } from '../../src/learning/codec/difference.js';
import { parameterShapes, paramsHash } from '../../src/learning/params.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { prng } from '../../src/learning/prng.js';
import type { ParamSet } from '../../src/learning/types.js';
import type { JobState } from '../../src/market/state.js';
import { announce, fetchBase, smallest, type BaseSource } from '../../src/roles/base-model.js';
import { openBase } from '../../src/roles/trainer-base.js';
import type { TrainerEnv } from '../../src/roles/trainer.js';
import { baseLabel, blobSecrets, publishBytes } from '../../src/roles/round-blobs.js';
import { memoryNetwork } from '../support/memory-relays.js';

const MODEL = { model: 'logreg', task: 'classification', inputs: 40, outputs: 10, hidden: [] } as const;
const jobId = sha256Hex('job') as string as EventId;
const SECRET = sha256('secret');
const keyOf = (round: number) => blobSecrets(SECRET, 'base', round).key;

/** Each model a little further than the one before. */
const modelOf = (round: number): ParamSet =>
  parameterShapes(MODEL).map(({ name, shape }) => ({
    ...{ name, shape },
    data: Float32Array.from({ length: shape.reduce((all, size) => all * size, 1) }, (_, i) =>
      Math.fround(Math.sin(i + 1) + round * 1e-4),
    ),
  }));
const hashAt = (round: number): Sha256 => paramsHash(modelOf(round));

type Announced = ReturnType<typeof announce>;
/** A job that published a whole model, and then differences. @param forge  of the last round */
async function jobOf(rounds: number, forge: (said: Announced) => Announced = (said) => said, last?: Uint8Array) {
  const network = memoryNetwork();
  const relays = network.relays();
  const opens: Announced[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = round === 0 ? null : modelOf(round - 1);
    const isLast = round === rounds - 1;
    const { bytes, isWhole } = smallest(modelOf(round), before);
    expect(isWhole).toBe(round === 0);
    const published = await publishBytes(relays, (isLast ? last : undefined) ?? bytes, {
      ...{ secret: SECRET, purpose: 'base', index: round, label: baseLabel(jobId, round) },
      ...{ dateSec: 1_760_000_000, expirationSec: 1_770_000_000 },
    });
    const said = announce(modelOf(round), published, isWhole ? null : hashAt(round - 1));
    opens.push(isLast ? forge(said) : said);
  }
  const state = {
    ...{ jobId, job: { content: { model: MODEL, rounds: 9, spot: null } } },
    rounds: opens.map((content, round) => ({ round, open: { content } })),
  } as unknown as JobState;
  const asked: number[] = [];
  const source = (known: readonly number[] = []): BaseSource => ({
    relays,
    keyOf: (round) => (asked.push(round), keyOf(round)),
    known: (hash) => Promise.resolve(known.map(modelOf).find((model) => paramsHash(model) === hash)),
  });
  return { state, source, asked };
}

test('a difference is followed back to the last whole model by who has none', async () => {
  const { state, source, asked } = await jobOf(5);
  expect(paramsHash(await fetchBase(source(), state, 4))).toBe(hashAt(4));
  expect(asked).toEqual([0, 1, 2, 3, 4]);
});

test.each([
  [[3], [4]],
  [[1], [2, 3, 4]],
  [
    [1, 2],
    [3, 4],
  ],
  [[4], [0, 1, 2, 3, 4]], // a model is opened to be checked, not believed
])('who has the models of rounds %j opens those of %j', async (known, opened) => {
  const { state, source, asked } = await jobOf(5);
  expect(paramsHash(await fetchBase(source(known), state, 4))).toBe(hashAt(4));
  expect(asked).toEqual(opened);
});

describe('a trainer', () => {
  const grant = { purpose: 'round', job: jobId, round: 3, key: keyOf(3), notAfter: 2_000_000_000 } as const;
  const openAt = async (before: readonly Uint8Array[] | undefined, files: Map<string, Uint8Array>) => {
    const { state, source } = await jobOf(4);
    const env = {
      relays: source().relays,
      files: {
        read: (name: string) => Promise.resolve(files.get(name)),
        write: (name: string, bytes: Uint8Array) => Promise.resolve(void files.set(name, bytes)),
      },
    } as unknown as TrainerEnv;
    return openBase(env, state, state.rounds[3]!, { ...grant, ...(before && { before: [...before] }) });
  };

  test('without the models before opens them with the keys in its grant', async () => {
    const files = new Map<string, Uint8Array>();
    expect(paramsHash(await openAt([keyOf(2), keyOf(1), keyOf(0)], files))).toBe(hashAt(3));
    expect([...files.keys()]).toEqual(['base.safetensors']);
  });

  test('with the model before needs none of them', async () => {
    const files = new Map([['base.safetensors', encodeParams(modelOf(2))]]);
    expect(paramsHash(await openAt(undefined, files))).toBe(hashAt(3));
    expect(files.get('base.safetensors')).toEqual(encodeParams(modelOf(3)));
  });

  test('with a damaged file of it goes back as if it had none', async () => {
    const files = new Map([['base.safetensors', encodeParams(modelOf(2)).subarray(1)]]);
    expect(paramsHash(await openAt([keyOf(2), keyOf(1), keyOf(0)], files))).toBe(hashAt(3));
  });

  test.each([[undefined], [[]], [[keyOf(2), keyOf(1)]]])('says that keys are missing', async (before) => {
    const opening = openAt(before, new Map());
    await expect(opening).rejects.toMatchObject({ code: 'wrong-key', expected: 'the keys of the 3 rounds before it' });
  });
});

test('a model that is new in every bit travels whole', () => {
  const wild = (label: string): ParamSet => {
    const random = prng(SECRET, label);
    const any = () => (random.float() - 0.5) * 2 ** (1 + Math.floor(200 * random.float()) - 100);
    return modelOf(0).map((tensor) => ({ ...tensor, data: tensor.data.map(any) }));
  };
  expect(smallest(wild('a'), wild('b')).isWhole).toBe(true);
});

const difference = (said: Announced, change: object): Announced => ({
  ...said,
  difference: { ...said.difference!, ...change },
});
const otherModel = (said: Announced): Announced => ({ ...said, base: { ...said.base, sha256: hashAt(7) } });
const otherSize = (said: Announced): Announced => ({ ...said, base: { ...said.base, size: said.base.size + 1 } });

test.each<[string, string, (said: Announced) => Announced]>([
  ['that leads to another model than announced', 'hash-mismatch', otherModel],
  ['that leads to a model of another size', 'hash-mismatch', otherSize],
  ['of other bytes', 'hash-mismatch', (said) => difference(said, { sha256: hashAt(7) })],
  ['that unpacks to more than it says', 'bad-blob', (said) => difference(said, { size: 9 })],
  ['that says it is larger than the model', 'too-large', (said) => difference(said, { size: 2 ** 30 })],
])('a difference %s is refused', async (_, code, forge) => {
  const { state, source } = await jobOf(2, forge);
  await expect(fetchBase(source(), state, 1)).rejects.toMatchObject({ code });
});

test.each([
  ['that are no difference', 'bad-blob', new Uint8Array(60).fill(7)],
  ['that lead elsewhere', 'hash-mismatch', encodeDifference(modelOf(0), modelOf(3))],
  ['that lead to NaN', 'bad-blob', encodeDifference(zeros(), largest())],
])('bytes %s are refused', async (_, code, bytes) => {
  const { state, source } = await jobOf(2, undefined, bytes);
  await expect(fetchBase(source(), state, 1)).rejects.toMatchObject({ code });
});

function zeros(): ParamSet {
  return modelOf(0).map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0) }));
}
/** From any other start than zero on, as many steps up end beyond the finite numbers. */
function largest(): ParamSet {
  return zeros().map((tensor) => ({ ...tensor, data: tensor.data.map(() => 3.4028234663852886e38) }));
}
