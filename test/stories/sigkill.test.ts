import { expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';
import { awardedState, finish, ROLES, spell, type Kill, type KillRail, type Outcome } from '../support/kill-market.js';

/**
 * kill -9 and Ctrl-C of every role at seeded facts of real processes: the same commands go on, and the job ends in the model and the
 * balances of an undisturbed run. NMKT_KILLS=300 tries more.
 */

const KILLS = Number(process.env['NMKT_KILLS'] ?? 8);
const PER_RUN = 3;

/** One in each third of the run, of the next role in turn, at a line of any file that somebody is about to write. */
function drawKills(run: number, count: number, signal: Kill['signal'], { lines }: Outcome): readonly Kill[] {
  const random = prng(sha256('sigkill', signal, `${run}`), 'draw');
  return Array.from({ length: count }, (_, index) => {
    const [file, [first, last]] = [...lines][random.below(lines.size)]!;
    // The last lines are written while some have ended already.
    const done = (0.85 * (index + random.float())) / count;
    const at = first + 1 + Math.floor(done * (last - first));
    return { role: ROLES[(run * count + index) % ROLES.length]!, signal, file, lines: at };
  });
}

/** By itself sales are killed in a story of their own. */
const RAILS: readonly KillRail[] =
  process.env['NMKT_KILLS'] === undefined ? ['instalments'] : ['instalments', 'key-sale'];

it.each(RAILS)(
  'everyone killed with kill -9 at seeded facts, and stopped once with Ctrl-C, goes on with the same command: %s',
  async (rail) => {
    const state = await awardedState(rail);
    const quiet = await finish(state);
    const isUndisturbed = ({ model, balances }: Outcome) =>
      expect({ model, balances }).toEqual({ model: quiet.model, balances: quiet.balances });
    const runs: (readonly Kill[])[] = [drawKills(0, ROLES.length, 'SIGINT', quiet)];
    for (let run = 0; run * PER_RUN < KILLS; run++)
      runs.push(drawKills(run, Math.min(PER_RUN, KILLS - run * PER_RUN), 'SIGKILL', quiet));
    let [drawn, done] = [0, 0];
    for (const kills of runs) {
      try {
        const outcome = await finish(state, kills);
        isUndisturbed(outcome);
        drawn += kills.length;
        done += outcome.kills;
      } catch (cause) {
        throw new Error(`${kills.map(spell).join(', ')}\n${(cause as Error).message}`, { cause });
      }
    }
    expect(done / drawn, `${done} of ${drawn} kills before the market ended`).toBeGreaterThan(0.8);
  },
  1_200_000,
);
