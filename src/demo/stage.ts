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
  /** One event of `serve-validator --json`. */
  validatorSaid(index: number, line: Line): void;
  validatorFailed(index: number, why: string): void;
  say(line: string): void;
}

type Role = 'trainers' | 'validators';

/** Steps that the board shows and plain lines leave out, for brevity. */
const UNSAID: readonly unknown[] = ['round', 'revealed'];

export function createStage({ model, trainers, validators, rounds }: DemoPlan, view: LiveView): Stage {
  let board: Board = {
    title: `nmkt demo: ${model}, ${plural(trainers, 'trainer')}, ${validators === 0 ? '' : `${plural(validators, 'validator')}, `}${plural(rounds, 'round')}`,
    sandbox: 'starting',
    customer: 'waiting for the sandbox',
    trainers: Array.from({ length: trainers }, (_, index) => newTrainer(`trainer ${index + 1}`)),
    validators: Array.from({ length: validators }, (_, index) => newTrainer(`validator ${index + 1}`)),
    totalRounds: rounds,
    rounds: [],
    chance: null,
  };
  const show = (change: Partial<Board>): void => {
    board = { ...board, ...change };
    view.show(board);
  };
  const rowsOf = (role: Role): readonly TrainerRow[] => board[role];
  const showRow = (role: Role, index: number, change: (row: TrainerRow) => TrainerRow): void =>
    show({ [role]: rowsOf(role).map((row, at) => (at === index ? change(row) : row)) });
  const said = (role: Role, index: number, line: Line): void => {
    showRow(role, index, (row) => trainerAfter(row, line));
    const words = describeEvent(line);
    const round = numberOf(line, 'round');
    if (words !== null && !UNSAID.includes(line['event']))
      view.say(`${rowsOf(role)[index]!.name}: ${round === null ? '' : `round ${round + 1}: `}${words}`);
  };
  const failed = (role: Role, index: number, why: string): void => {
    showRow(role, index, (row) => ({ ...row, hasFailed: true, doing: why }));
    view.say(`${rowsOf(role)[index]!.name}: ${why}`);
  };

  return {
    board: () => board,
    show,
    showRounds(next) {
      for (const row of next) for (const line of roundNews(board.rounds[row.round], row, rounds)) view.say(line);
      show({ rounds: next });
    },
    trainerSaid: (index, line) => said('trainers', index, line),
    trainerFailed: (index, why) => failed('trainers', index, why),
    validatorSaid: (index, line) => said('validators', index, line),
    validatorFailed: (index, why) => failed('validators', index, why),
    say: (line) => view.say(line),
  };
}

function roundNews(before: RoundRow | undefined, now: RoundRow, totalRounds: number): string[] {
  const name = `round ${now.round + 1} of ${totalRounds}`;
  if (now.isVoid && before?.isVoid !== true) return [`${name}: void, too few updates were accepted`];
  if (now.accuracy === null || (before?.accuracy ?? null) !== null) return [];
  return [`${name}: accuracy ${percentText(now.accuracy)}, ${now.accepted} of ${now.accepted + now.rejected} accepted`];
}
