import type { Style } from '../terminal/color.js';
import { percentText, satText, type Board, type RoundRow, type TrainerRow } from './board.js';

/** Wider lines are harder to read than to fill. */
const MAX_COLUMNS = 100;
const NAME_COLUMNS = 11;

type Paint = 'bold' | 'dim' | 'green' | 'yellow' | 'red';
interface BoardLine {
  readonly text: string;
  readonly paint?: Paint;
}

export interface Frame {
  readonly columns: number;
  readonly rows: number;
  readonly style: Style;
}

/**
 * The board as lines that fit: none as long as the terminal is wide (it would wrap), and one less than it is high. On a
 * low terminal the rounds stay and trainers give way.
 */
export function boardLines(board: Board, elapsedSec: number, { columns, rows, style }: Frame): string[] {
  const width = Math.max(1, Math.min(columns - 1, MAX_COLUMNS));
  const head: BoardLine[] = [
    { text: ends(board.title, `${elapsedSec} s`, width), paint: 'bold' },
    { text: `${'sandbox'.padEnd(NAME_COLUMNS)}${board.sandbox}`, paint: 'dim' },
    { text: `${'customer'.padEnd(NAME_COLUMNS)}${board.customer}` },
  ];
  const trainers = [...board.trainers, ...board.validators].map((row) => trainerLine(row, board.totalRounds, width));
  const rounds = roundLines(board, width);
  const room = Math.max(1, rows - 1);
  const lines = fitted(head, trainers, rounds, room);
  return lines.slice(0, room).map(({ text, paint }) => {
    const line = clipped(text, width);
    return paint === undefined ? line : style[paint](line);
  });
}

function fitted(
  head: readonly BoardLine[],
  trainers: readonly BoardLine[],
  rounds: readonly BoardLine[],
  room: number,
): BoardLine[] {
  if (head.length + trainers.length + rounds.length <= room) return [...head, ...trainers, ...rounds];
  // The newest rounds first, then as many trainers as fit.
  const shownRounds = rounds.slice(-Math.max(1, Math.floor((room - head.length) / 2)));
  const left = room - head.length - shownRounds.length;
  if (trainers.length <= left) return [...head, ...trainers, ...shownRounds];
  const shown = trainers.slice(0, Math.max(0, left - 1));
  const hidden = {
    text: `${''.padEnd(NAME_COLUMNS)}and ${trainers.length - shown.length} more`,
    paint: 'dim',
  } as const;
  return [...head, ...shown, ...(left > 0 ? [hidden] : []), ...shownRounds];
}

function trainerLine(row: TrainerRow, totalRounds: number, width: number): BoardLine {
  const place = [
    row.shard === null ? '' : `shard ${row.shard}`,
    row.round === null ? '' : `round ${row.round + 1} of ${totalRounds}`,
  ].filter((part) => part !== '');
  const left = `${`${row.name} `.padEnd(NAME_COLUMNS)}${[...place, row.doing].join('  ')}`;
  const text = ends(left, satText(row.receivedMsat), width);
  if (row.hasFailed) return { text, paint: 'red' };
  return row.rejections.length > 0 ? { text, paint: 'yellow' } : { text };
}

/** Closed rounds with a bar each, and below them what guessing would give. */
function roundLines({ rounds, chance }: Board, width: number): BoardLine[] {
  const closed = rounds.filter(({ isVoid, accuracy }) => isVoid || accuracy !== null);
  if (closed.length === 0 || chance === null) return [];
  // The bars are of one length, so that they can be compared.
  const outcomeColumns = Math.max(...closed.map((row) => outcomeText(row).length)) + 3;
  return [
    ...closed.map((row): BoardLine => {
      const name = `round ${row.round + 1}`;
      if (row.isVoid || row.accuracy === null) return { text: `${name.padEnd(NAME_COLUMNS)}void`, paint: 'yellow' };
      const outcome = outcomeText(row);
      const text = ends(barText(name, row.accuracy, width - outcomeColumns), outcome, width);
      return row.rejected > 0 ? { text, paint: 'yellow' } : { text, paint: 'green' };
    }),
    { text: barText('chance', chance, width - outcomeColumns), paint: 'dim' },
  ];
}

function outcomeText({ accepted, rejected }: RoundRow): string {
  return `${accepted} of ${accepted + rejected} accepted`;
}

function barText(name: string, share: number, width: number): string {
  const label = percentText(share).padStart(8);
  const room = Math.max(0, width - NAME_COLUMNS - label.length - 2);
  const filled = Math.round(share * room);
  return `${name.padEnd(NAME_COLUMNS)}[${'#'.repeat(filled)}${'.'.repeat(room - filled)}]${label}`;
}

/** `right` at the right margin; when both do not fit, `left` is cut. */
function ends(left: string, right: string, width: number): string {
  const room = width - right.length - 1;
  if (room < 1) return clipped(left, width);
  return `${clipped(left, room).padEnd(room)} ${right}`;
}

function clipped(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}~`;
}
