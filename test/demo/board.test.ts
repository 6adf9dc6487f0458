import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newTrainer, trainerAfter, type Board, type RoundRow } from '../../src/demo/board.js';
import { boardLines } from '../../src/demo/board-lines.js';
import { createStyle } from '../../src/terminal/color.js';

const plain = createStyle(false);
const round = (index: number, part: Partial<RoundRow> = {}): RoundRow => ({
  ...{ round: index, isVoid: false, accuracy: 0.5, accepted: 3, rejected: 0 },
  ...part,
});
const board: Board = {
  title: 'nmkt demo: mlp, 3 trainers, 3 rounds',
  sandbox: 'relay and wallets at ws://127.0.0.1:7447',
  customer: 'round 2 of 3: 1 of 3 trainers committed',
  trainers: [1, 2, 3].map((number) => ({
    ...newTrainer(`trainer ${number}`),
    ...{ shard: number - 1, round: 1, doing: 'training', receivedMsat: 300_000n },
  })),
  validators: [],
  totalRounds: 3,
  rounds: [round(0), round(1, { accuracy: null, accepted: 0 })],
  chance: 0.1,
};

describe('the board', () => {
  it('reads like this in 60 columns', () => {
    expect(boardLines(board, 12, { columns: 60, rows: 24, style: plain })).toEqual([
      'nmkt demo: mlp, 3 trainers, 3 rounds                   12 s',
      'sandbox    relay and wallets at ws://127.0.0.1:7447',
      'customer   round 2 of 3: 1 of 3 trainers committed',
      'trainer 1  shard 0  round 2 of 3  training          300 sat',
      'trainer 2  shard 1  round 2 of 3  training          300 sat',
      'trainer 3  shard 2  round 2 of 3  training          300 sat',
      'round 1    [##########..........]  50.0 %   3 of 3 accepted',
      'chance     [##..................]  10.0 %',
    ]);
  });

  it('draws bars of one length, so that they compare', () => {
    const rounds = [round(0, { accuracy: 0.25, accepted: 2, rejected: 1 }), round(9, { accuracy: 1 })];
    const lines = boardLines({ ...board, rounds }, 1, { columns: 120, rows: 24, style: plain });
    const bars = lines.flatMap((line) => /\[[#.]+\]/.exec(line) ?? []).map((bar) => bar.length);
    expect(new Set(bars).size).toBe(1);
    expect(bars).toHaveLength(3);
  });

  it('fits in any terminal: no line wraps, none scrolls away', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.integer({ min: 2, max: 60 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 0, max: 40 }),
        (columns, rows, trainers, rounds) => {
          const many = {
            ...board,
            trainers: Array.from({ length: trainers }, (_, index) => newTrainer(`trainer ${index + 1}`)),
            rounds: Array.from({ length: rounds }, (_, index) => round(index)),
          };
          const lines = boardLines(many, 3, { columns, rows, style: plain });
          expect(lines.length).toBeLessThan(rows);
          for (const line of lines) expect(line.length).toBeLessThan(columns);
        },
      ),
    );
  });

  it('keeps the newest round in sight when the terminal is low', () => {
    const rounds = Array.from({ length: 20 }, (_, index) => round(index));
    const text = boardLines({ ...board, rounds }, 3, { columns: 80, rows: 10, style: plain }).join('\n');
    expect(text).toContain('round 20');
    expect(text).not.toContain('round 3 ');
  });

  it('colours whole lines only, so that colour changes no width', () => {
    const frame = { columns: 60, rows: 24 };
    const coloured = boardLines(board, 12, { ...frame, style: createStyle(true) });
    // eslint-disable-next-line no-control-regex
    const bare = coloured.map((line) => line.replace(/\x1b\[\d+m/g, ''));
    expect(bare).toEqual(boardLines(board, 12, { ...frame, style: plain }));
  });

  it('shows a void round and a trainer that was rejected', () => {
    const rejected = trainerAfter(board.trainers[0]!, { event: 'rejected', round: 1, rule: 'loss-grew', detail: 'D' });
    expect(rejected.rejections).toEqual([{ round: 1, rule: 'loss-grew', detail: 'D' }]);
    const shown = { ...board, trainers: [rejected], rounds: [round(0, { isVoid: true, accuracy: null })] };
    const text = boardLines(shown, 1, { columns: 80, rows: 24, style: plain }).join('\n');
    expect(text).toContain('rejected: loss-grew');
    expect(text).toMatch(/round 1 +void/);
  });
});

describe('a trainer', () => {
  const after = (...lines: Record<string, unknown>[]) => lines.reduce(trainerAfter, newTrainer('trainer 1'));

  it('adds up what its wallet received, and takes the total of a job that was done before', () => {
    const paid = { event: 'paid', round: 0, amountMsat: 300_000 };
    expect(after(paid, { ...paid, round: 1 }).receivedMsat).toBe(600_000n);
    expect(after({ event: 'done', rounds: 3, paidMsat: 900_000 }).receivedMsat).toBe(900_000n);
    expect(after(paid, { event: 'done', rounds: 1, paidMsat: 300_000 }).receivedMsat).toBe(300_000n);
  });

  it('follows its events from bid to done', () => {
    const row = after(
      { event: 'ready', pubkey: 'ab'.repeat(32) },
      { event: 'bid', priceMsat: 300_000 },
      { event: 'awarded', shard: 2, priceMsat: 300_000 },
      { event: 'round', round: 0 },
      { event: 'committed', round: 0 },
    );
    expect(row).toMatchObject({ pubkey: 'ab'.repeat(32), shard: 2, round: 0, doing: 'committed' });
  });

  it('ignores events it does not know and cannot be made to move the cursor', () => {
    const row = newTrainer('trainer 1');
    expect(trainerAfter(row, { event: 'news', at: 1 })).toBe(row);
    expect(trainerAfter(row, { event: 'error', message: 'a\x1b[2Jb\nc' }).doing).toBe('error: a\uFFFD[2Jb c');
  });
});
