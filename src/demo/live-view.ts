import { createStyle, wantsColor } from '../terminal/color.js';
import { redact } from '../terminal/redact.js';
import type { Board } from './board.js';
import { boardLines } from './board-lines.js';

/** The board on stderr, redrawn in place; without a terminal, or with NO_COLOR or --no-color, plain lines instead. */
export interface LiveView {
  /** Shows this board from now on. */
  show(board: Board): void;
  /** A line for those who get no board. */
  say(line: string): void;
  /** Nothing is drawn any more; with `erase` the board goes, else it stays: something may stand below it already. */
  stop(erase: boolean): void;
}

export interface ViewOptions {
  readonly stream: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
  readonly isQuiet: boolean;
  readonly isPlain: boolean;
  readonly nowMs: () => number;
  /** How a plain line is printed. */
  readonly note: (line: string) => void;
}

const FRAME_MS = 100;

export function openLiveView({ stream, env, isQuiet, isPlain, nowMs, note }: ViewOptions): LiveView {
  if (isQuiet) return { show() {}, say() {}, stop() {} };
  const isLive = wantsColor({ isTerminal: stream.isTTY, off: isPlain, env });
  if (!isLive) return { show() {}, say: note, stop() {} };
  return drawOn(stream, nowMs);
}

function drawOn(stream: NodeJS.WriteStream, nowMs: () => number): LiveView {
  const startedMs = nowMs();
  const style = createStyle(true);
  const plain = createStyle(false);
  let board: Board | undefined;
  /** Lengths of the lines on the screen. */
  let drawn: readonly number[] = [];
  let timer: NodeJS.Timeout | undefined;

  const size = () => ({ columns: stream.columns || 80, rows: stream.rows || 24 });
  /** Back to the first column of the board's first line; a terminal that became narrower wrapped its lines. */
  const back = (): string => {
    const { columns } = size();
    const height = drawn.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / columns)), 0);
    return height === 0 ? '' : `\r\x1b[${height}A`;
  };
  const draw = (): void => {
    if (board === undefined) return;
    const elapsedSec = Math.floor((nowMs() - startedMs) / 1000);
    const lines = boardLines(board, elapsedSec, { ...size(), style });
    // One write per frame: a half-drawn board would flicker.
    stream.write(redact(`${back()}${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`));
    drawn = boardLines(board, elapsedSec, { ...size(), style: plain }).map((line) => line.length);
  };
  return {
    show(next) {
      board = next;
      timer ??= setInterval(draw, FRAME_MS).unref();
    },
    say() {},
    stop(erase) {
      clearInterval(timer);
      if (erase) stream.write(`${back()}\x1b[J`);
      board = undefined;
      drawn = [];
    },
  };
}
