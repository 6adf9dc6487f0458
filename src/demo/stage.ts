import { describeEvent, newTrainer, numberOf, percentText, plural, trainerAfter } from './board.js';
import type { Board, RoundRow, TrainerRow } from './board.js';
import type { LiveView } from './live-view.js';
import type { DemoPlan } from './plan.js';
import type { Line } from './processes.js';

/** The board as it is now: every change is shown at once, and said where there is no board. */
export interface Stage {
  board(): Board;
  show(change: Partial<Board>): void;
  showRounds(rounds: readonly RoundRow[]): void;
  /** One event of `serve-trainer --json`. */
  trainerSaid(index: number, line: Line): void;
  trainerFailed(index: number, why: string): void;
  say(line: string): void;
}

/** Steps that the board shows and plain lines leave out, for brevity. */
const UNSAID: readonly unknown[] = ['round', 'revealed'];

export function createStage({ model, trainers, rounds }: DemoPlan, view: LiveView): Stage {
  let board: Board = {
    title: `nmkt demo: ${model}, ${plural(trainers, 'trainer')}, ${plural(rounds, 'round')}`,
    sandbox: 'starting',
    customer: 'waiting for the sandbox',
    trainers: Array.from({ length: trainers }, (_, index) => newTrainer(`trainer ${index + 1}`)),
    totalRounds: rounds,
    rounds: [],
    chance: null,
  };
  const show = (change: Partial<Board>): void => {
    board = { ...board, ...change };
    view.show(board);
  };
  const showTrainer = (index: number, change: (row: TrainerRow) => TrainerRow): void =>
    show({ trainers: board.trainers.map((row, at) => (at === index ? change(row) : row)) });

  return {
    board: () => board,
    show,
    showRounds(next) {
      for (const row of next) for (const line of roundNews(board.rounds[row.round], row, rounds)) view.say(line);
      show({ rounds: next });
    },
    trainerSaid(index, line) {
      showTrainer(index, (row) => trainerAfter(row, line));
      const said = describeEvent(line);
      const round = numberOf(line, 'round');
      if (said !== null && !UNSAID.includes(line['event']))
        view.say(`${board.trainers[index]!.name}: ${round === null ? '' : `round ${round + 1}: `}${said}`);
    },
    trainerFailed(index, why) {
      showTrainer(index, (row) => ({ ...row, hasFailed: true, doing: why }));
      view.say(`${board.trainers[index]!.name}: ${why}`);
    },
    say: (line) => view.say(line),
  };
}

function roundNews(before: RoundRow | undefined, now: RoundRow, totalRounds: number): string[] {
  const name = `round ${now.round + 1} of ${totalRounds}`;
  if (now.isVoid && before?.isVoid !== true) return [`${name}: void, too few updates were accepted`];
  if (now.accuracy === null || (before?.accuracy ?? null) !== null) return [];
  return [`${name}: accuracy ${percentText(now.accuracy)}, ${now.accepted} of ${now.accepted + now.rejected} accepted`];
}
