import { describe, expect, it, vi } from 'vitest';
import { newTrainer, type Board } from '../../src/demo/board.js';
import { openLiveView, type ViewOptions } from '../../src/demo/live-view.js';

const board: Board = {
  ...{
    title: 'demo',
    sandbox: 'ready',
    customer: 'waits',
    trainers: [newTrainer('trainer 1')],
    validators: [],
    totalRounds: 1,
  },
  ...{ rounds: [], chance: null },
};

/** A terminal that remembers what was written to it. */
function view(part: Partial<ViewOptions> = {}, isTTY = true) {
  const written: string[] = [];
  const notes: string[] = [];
  const stream = { isTTY, columns: 60, rows: 24, write: (text: string) => written.push(text) };
  const opened = openLiveView({
    ...{ stream: stream as unknown as NodeJS.WriteStream, env: {}, isQuiet: false, isPlain: false },
    ...{ nowMs: () => 0, note: (line: string) => void notes.push(line), ...part },
  });
  return { ...opened, stream, written, notes };
}

describe('the live view', () => {
  it('draws in place, as often as it likes, and leaves an empty terminal when erased', () => {
    vi.useFakeTimers();
    const shown = view();
    shown.show(board);
    vi.advanceTimersByTime(250);
    expect(shown.written).toHaveLength(2);
    expect(shown.written[0]).not.toContain('A\x1b');
    // Four lines stand there: back over all of them.
    expect(shown.written[1]!.startsWith('\r\x1b[4A')).toBe(true);
    shown.stop(true);
    expect(shown.written.at(-1)).toBe('\r\x1b[4A\x1b[J');
    vi.advanceTimersByTime(1000);
    expect(shown.written).toHaveLength(3);
    vi.useRealTimers();
  });

  it('finds its first line again after the terminal became narrower and wrapped it', () => {
    vi.useFakeTimers();
    const shown = view();
    shown.show(board);
    vi.advanceTimersByTime(100);
    shown.stream.columns = 30;
    vi.advanceTimersByTime(100);
    // Of 59, 16, 16 and 59 characters: 2 + 1 + 1 + 2 rows of 30.
    expect(shown.written[1]!.startsWith('\r\x1b[6A')).toBe(true);
    shown.stop(false);
    vi.useRealTimers();
  });

  it('says plain lines without a terminal, with NO_COLOR, on a dumb one and with --no-color', () => {
    for (const other of [
      view({}, false),
      view({ env: { NO_COLOR: '1' } }),
      view({ env: { TERM: 'dumb' } }),
      view({ isPlain: true }),
    ]) {
      other.show(board);
      other.say('trainer 1: bid');
      other.stop(true);
      expect(other.written).toEqual([]);
      expect(other.notes).toEqual(['trainer 1: bid']);
    }
  });

  it('is silent with --quiet', () => {
    const shown = view({ isQuiet: true });
    shown.show(board);
    shown.say('trainer 1: bid');
    shown.stop(true);
    expect([shown.written, shown.notes]).toEqual([[], []]);
  });
});
