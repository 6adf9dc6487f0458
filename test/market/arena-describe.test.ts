import { describe, expect, it } from 'vitest';
import { awaitedOf, phaseText } from '../../src/market/arena/describe.js';
import { foldArena } from '../../src/market/arena/fold.js';
import { ARENA_TERMS, scriptArena, type ArenaScript } from '../support/arena-script.js';
import { START_SEC } from '../support/job-contents.js';

const { interimUntil, finalUntil } = ARENA_TERMS.arena;
const LISTED_UNTIL = START_SEC + 43_320;
const nothing = (): null => null;
const whole = scriptArena();
const first = ['scores/0/0', 'scores/0/1'];
const again = scriptArena({ alter: Object.fromEntries(first.map((step) => [step, nothing])) });
const turns = ['scores/0', 'scores/0/again1', 'scores/0/again2'];
const never = scriptArena({
  alter: Object.fromEntries(turns.flatMap((step) => [0, 1].map((i) => [`${step}/${i}`, nothing]))),
});

/** When nothing after the step was said. */
function at(script: ArenaScript, step: string) {
  const last = script.parsed.findIndex(({ id }) => id === script.raw(step).id);
  const { state, phase } = foldArena(script.jobId, script.parsed.slice(0, last + 1));
  return { text: phaseText(state!, phase), awaited: awaitedOf(state!, phase) };
}

describe('an arena says where it stands and what it waits for', () => {
  it.each([
    [whole, 'job', 'submissions to the interim stage (0 seen so far), then their list', interimUntil],
    [whole, 'seen/0', 'submissions to the interim stage (3 seen so far), then their list', interimUntil],
    [whole, 'list/0', 'the customer to fix aliases and who may score', LISTED_UNTIL],
    [whole, 'root/0', 'nonces of validators, then the draw', LISTED_UNTIL],
    [whole, 'draw/0', 'commitments to scores of 3 validators', null],
    [whole, 'score-commits/0', 'the scores of 3 validators', START_SEC],
    [whole, 'score-reveals/0', 'the customer to open the table of names', null],
    [again, 'score-reveals/0', 'another draw: 3 submissions have too few scores, 2 validators revealed none', null],
    [never, 'score-reveals/0/again2', 'the customer to open the table of names', null],
    [whole, 'table/0', 'a settlement: by the customer, or any trainer or validator of the stage', null],
    [whole, 'ranking/1', 'a settlement: by the customer, or any trainer or validator of the stage', null],
  ] as const)('%# after %2$s', (script, step, what, until) => {
    expect(at(script, step).awaited).toEqual({ what, until });
  });

  it('waits for the final stage once the interim one is settled, and for nothing in the end', () => {
    const between = at(whole, 'settlement/0');
    expect(between.text).toBe('open for submissions to the final stage');
    const what = 'submissions to the final stage (0 seen so far), then their list';
    expect(between.awaited).toEqual({ what, until: finalUntil });
    expect(at(whole, 'settlement/1')).toEqual({ text: 'finished', awaited: null });
  });
});
