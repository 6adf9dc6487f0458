import { describe, expect, test } from 'vitest';
import type { JobState } from '../../src/market/state.js';
import type { JobFileInput } from '../../src/roles/job-file.js';
import { decodeUpdateFile } from '../../src/roles/trainer-files.js';
import { createWorld, type World } from '../support/market-world.js';

/** Updates in fewer bits: encoding is part of the work, committed to, repeated and audited like the training. */

const ALL = ['f16', 'int8', 'int4', 'topk', 'sparseloco'] as const;
const worldOf = (name: string, job: JobFileInput, rounds = 3, trainers = 2): Promise<World> =>
  createWorld({ name, trainers, rounds, rail: 'none', rows: 18, job: { verification: 'spot', spotRate: 1, ...job } });

const PASS = { open: null, keyed: null };
const revealsOf = (state: JobState) =>
  state.rounds.flatMap(({ listedReveals }) => [...listedReveals.values()].map(({ content }) => content));

describe.each(ALL)('a job with codec %s', (codec) => {
  test('runs to its end, every drawn segment repeats, and all audits pass', async () => {
    const world = await worldOf(codec, { codec, keep: /topk|sparse/.test(codec) ? 0.25 : undefined });
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
    expect(state.rounds.flatMap(({ close }) => close!.content.rejected)).toEqual([]);
    const keeps = codec === 'topk' || codec === 'sparseloco';
    for (const { residual } of revealsOf(state)) expect(residual !== undefined).toBe(keeps);
    expect(await world.audit()).toMatchObject(PASS);
    expect(await world.auditAll()).toMatchObject({ found: null });
  });

  test('the encoding is drawn like a segment, and repeats', async () => {
    // One segment of training, so the draw falls on it or on the encoding; 24 times on the same one once in 8 million runs.
    const world = await worldOf(`${codec} drawn`, { codec, segments: 1 }, 12);
    const { state } = await world.run();
    const drawn = state.rounds.flatMap(({ scores }) => scores!.content.scores.map(({ spot }) => spot!.segment));
    expect(new Set(drawn)).toEqual(new Set([0, 1]));
    expect(state.frauds.size).toBe(0);
    expect(await world.auditAll()).toMatchObject({ found: null });
  });
});

describe('a residual', () => {
  test('of an update is what the next one starts from', async () => {
    const world = await worldOf('chain', { codec: 'topk', keep: 0.2 });
    const { state } = await world.run();
    for (const shard of world.trainers.keys()) {
      const own = state.rounds.map(({ listedReveals }) => listedReveals.get(shard)!.content.residual!);
      expect(own[0]!.before).toBeNull();
      expect(own[1]!.before).toBe(own[0]!.after);
      expect(own[2]!.before).toBe(own[1]!.after);
    }
  });

  test('that a home has lost starts again at zero, and is accepted', async () => {
    const world = await worldOf('lost residual', { codec: 'topk', keep: 0.2 }, 4);
    const trainer = world.trainers[0]!;
    const { state } = await world.run({
      trainers: {
        0: {
          onWrite: () =>
            [...trainer.files.keys()]
              .filter((name) => name.includes('/residual-'))
              .forEach((name) => trainer.files.delete(name)),
        },
      },
    });
    expect(state.phase).toBe('finished');
    const own = state.rounds.map(({ listedReveals }) => listedReveals.get(0)!.content.residual!.before);
    expect(own).toEqual([null, null, null, null]);
    expect(trainer.said.join('')).toContain('starts again at zero');
    expect(state.rounds.flatMap(({ close }) => close!.content.rejected)).toEqual([]);
    expect(await world.audit()).toMatchObject(PASS);
  });

  test('of somebody else is refused by rule, and the round goes on', async () => {
    const forged = 'ab'.repeat(32);
    const world = await worldOf('forged residual', { codec: 'topk', keep: 0.2, quorum: 1, spotRate: 0 }, 2);
    const { state } = await world.run({
      trainers: {
        0: {
          adapt: (env) => ({
            ...env,
            book: {
              ...env.book,
              sign: ((type: 'reveal', content: { residual?: object }, people: []) =>
                env.book.sign(
                  type,
                  (type === 'reveal'
                    ? { ...content, residual: { ...content.residual, before: forged } }
                    : content) as never,
                  people,
                )) as never,
            },
          }),
        },
      },
    });
    // The commitment binds the residual: another one does not open it.
    expect(state.rounds[0]!.close!.content.rejected).toMatchObject([{ rule: 'opening' }]);
    expect(state.rounds[0]!.close!.content.accepted).toHaveLength(1);
  });

  test('of a successor starts at zero', async () => {
    const world = await createWorld({
      ...{ name: 'successor', trainers: 2, spares: 1, rounds: 3, rail: 'none', rows: 18 },
      job: { codec: 'topk', keep: 0.2, quorum: 1, roundTimeout: '5m' },
    });
    const { state } = await world.run({ trainers: { 0: { kill: { after: 12, isKept: true }, restart: false } } });
    expect(state.phase).toBe('finished');
    expect(await world.audit()).toMatchObject(PASS);
    const successor = state.rounds
      .flatMap(({ listedReveals }) => [...listedReveals.values()])
      .filter(({ author }) => author === world.trainers[2]!.signer.pubkey);
    expect(successor.length).toBeGreaterThan(0);
    expect(successor[0]!.content.residual!.before).toBeNull();
  });
});

test('an update that its training does not encode to is a proven fraud', async () => {
  const world = await createWorld({
    ...{ name: 'forged encoding', trainers: 2, spares: 1, rounds: 14, rows: 18 },
    job: { codec: 'int8', segments: 1, spotRate: 1, quorum: 1, acceptedEngines: 'cpu' },
  });
  const cheat = world.trainers[0]!.signer.pubkey;
  const { state } = await world.run({
    trainers: {
      0: {
        adapt: (env) => ({
          ...env,
          files: {
            ...env.files,
            write: (name, data) => {
              if (/update-[0-9a-f]+-0\.bin$/.test(name)) turnSmallCodes(data);
              return env.files.write(name, data);
            },
          },
        }),
      },
    },
  });
  expect(state.phase).toBe('finished');
  // Where the training was drawn instead, nothing is found; in 14 rounds the encoding's turn comes.
  expect([...state.frauds.keys()]).toEqual([cheat]);
  expect(state.frauds.get(cheat)!.content.segment).toBe(1);
  expect(await world.audit()).toMatchObject(PASS);
});

/** The smallest codes of the update get other signs, before anything is committed to: next to nothing, but not what the training gives. */
function turnSmallCodes(file: Uint8Array): void {
  const work = decodeUpdateFile(file)!;
  const codes = file.subarray(file.length - work.bytes.length + 8);
  codes.forEach((byte, i) => (codes[i] = Math.min(byte, 256 - byte) <= 9 ? (256 - byte) & 0xff : byte));
}
