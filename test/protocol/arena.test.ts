import { describe, expect, it } from 'vitest';
import { fromHex, sha256, sha256Hex } from '../../src/hash.js';
import {
  encodeSealedModel,
  parseSealedModel,
  publishedChunks,
  SEALED_MODEL_CHARS,
} from '../../src/protocol/arena/submission.js';
import { hashOf, pointerTo } from '../support/job-contents.js';
import { readVectors } from './vectors.js';

type Entry = Readonly<Record<string, string | number | null>>;
type Derived = Readonly<Record<'modelCommitment' | 'aliasRoot' | 'arenaScoreCommitment', Entry>> & {
  readonly aliasRoot: { readonly entries: readonly Entry[] };
  readonly arenaScoreCommitment: { readonly scores: readonly Entry[] };
};

const derived = readVectors<Derived>('../derived');
const u32 = (value: unknown) => Uint8Array.of(0, 0, 0, Number(value));
const bytes = (value: Entry[string] | undefined) => (value === null ? new Uint8Array(32) : fromHex(String(value)));
const u64 = (value: Entry[string] | undefined) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value as number));
  return out;
};

describe('hashes of an arena agree with the text', () => {
  it('of a submission', () => {
    const { job, stage, trainer, model, salt, commitment } = derived.modelCommitment;
    expect(sha256Hex('nmkt/1/model', bytes(job), u32(stage), bytes(trainer), bytes(model), bytes(salt))).toBe(
      commitment,
    );
  });

  it('of a table of aliases', () => {
    const { job, stage, list, entries, salt, root } = derived.aliasRoot;
    const rows = entries.flatMap((entry) => [bytes(entry['submission']), bytes(entry['model']), bytes(entry['salt'])]);
    const head = [bytes(job), u32(stage), bytes(list), u32(entries.length)];
    expect(sha256Hex('nmkt/1/aliases', ...head, ...rows, bytes(salt))).toBe(root);
  });

  it('of scores', () => {
    const { job, round, draw, validator, engine, data, scores, salt, commitment } = derived.arenaScoreCommitment;
    const rows = scores.flatMap((row) => [u32(row['alias']), bytes(row['model']), u64(row['scorePpm'])]);
    const head = [
      bytes(job),
      u32(round),
      bytes(draw),
      bytes(validator),
      sha256(String(engine)),
      bytes(data),
      u32(scores.length),
    ];
    expect(sha256Hex('nmkt/1/arena-score', ...head, ...rows, bytes(salt))).toBe(commitment);
  });
});

describe('a sealed model', () => {
  const model = {
    ...{ key: sha256('key'), salt: sha256('salt'), pointer: pointerTo(hashOf('model')) },
    metrics: { lossPpm: 1, accuracyPpm: null },
  };

  it('has the same number of characters whatever it holds, and opens to what it was', () => {
    for (const lossPpm of [0, 999_999_999]) {
      const text = encodeSealedModel({ ...model, metrics: { ...model.metrics, lossPpm } });
      expect(text).toHaveLength(SEALED_MODEL_CHARS);
      expect(parseSealedModel(text)).toEqual({ ...model, metrics: { ...model.metrics, lossPpm } });
    }
  });

  it('of another length is refused', () => {
    const text = encodeSealedModel(model);
    expect(() => parseSealedModel(text.trimEnd())).toThrow(expect.objectContaining({ code: 'bad-event' }) as Error);
    const ids = Array.from({ length: 120 }, (_, i) => sha256Hex(`${i}`) as never);
    expect(() => encodeSealedModel({ ...model, pointer: { ...model.pointer, ids } })).toThrow(RangeError);
  });

  it('lies in whole packs', () => {
    const chunks = [0, 1, 167, 168];
    expect(chunks.map((count) => publishedChunks(count, 1_000))).toEqual([167, 167, 167, 334]);
    // No model of the job takes more than twelve: nobody publishes 167 for it.
    expect([1, 12].map((count) => publishedChunks(count, 12))).toEqual([12, 12]);
    expect(publishedChunks(168, 200)).toBe(200);
  });
});
