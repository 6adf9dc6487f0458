import { leaderboards } from '../market/arena/leaderboard.js';
import { boardText, summaryOf, summaryText } from './arena-text.js';
import type { CommandModule } from './command.js';
import { readArena } from './find-arena.js';
import { findJob } from './find-job.js';

/** Reads only: makes no key, takes no lock, signs nothing. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of an arena')
      .option('--from-dump <file>', 'read that file of signed events alone: no relay is asked')
      .addHelpText('before', '$ nmkt leaderboard JOB\n$ nmkt leaderboard JOB --json\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const found = await readArena(context, findJob(reference!), options['fromDump'] as string | undefined);
    const boards = leaderboards(found.state);
    const summary = summaryOf(found);
    const text = [summaryText(summary), ...boards.map(boardText)].join('\n\n');
    return { value: { ...summary, stages: boards }, text, next: `nmkt status ${summary.job}` };
  },
};

const HELP = `
Who is where in each stage, and why: recomputed from the signed events, whatever the customer says. Before the customer opens the
names there are aliases and their scores alone. Less is better; a score in brackets does not count, - is silence.
With --json one document:
  job, customer, title, mode, phase, phaseText, waitsFor, until, potMsat, carriedMsat, violation, forks, missing, events  as of status
  stages      [{stage (0 interim, 1 final), isFinal, potMsat, settledBy, refundMsat, rows, validators}], amounts null until names are
              told, then what is or will be paid; settledBy: keys that published the settlement
  rows        [{rank, trainer, submission, alias, scorePpm, stakeMsat, weightPpm, rewardMsat, noRank, said, draws}], best first: scorePpm is
              the lower median of the scores that count, weightPpm the part of what trainers get, rewardMsat with what goes to those behind
              it, noRank unopened, no-score, contradicted, worst-score or null; draws: how often its seats were drawn
  said        [{validator, scorePpm, counts, draw}], one per seat; scorePpm null: nothing revealed
  validators  [{validator, stakeMsat, seats, revealed, counted, deviationMillionths, rewardMsat}], deviation: mean distance from the
              scores that count, in millionths of their spread`;
