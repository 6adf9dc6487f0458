import { describe, expect, it } from 'vitest';
import { foldArena } from '../../src/market/arena/fold.js';
import { settlementsOf } from '../../src/market/arena/lapse.js';
import { arenaPlan, ranksOf } from '../../src/market/arena/rank-rules.js';
import { WORST_SCORE_PPM } from '../../src/protocol/arena/scores.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { scriptArena, type ArenaScript } from '../support/arena-script.js';
import { customer, people, person, type Person } from '../support/job-contents.js';

/** The customer falls silent when it has opened the interim table. */
const silent = (): ArenaScript => scriptArena({ alter: { 'ranking/0': () => null } });

/** What follows, said by somebody. */
function settle(script: ArenaScript, who: Person, change: Partial<ContentOf<'arena-settlement'>> = {}): void {
  const { stage } = script;
  const ranks = [...ranksOf(stage, script.state.job.content.arena.seats)];
  const of = { stage: stage.stage, table: stage.table!.id, ranks };
  const ranking = script.say(who, 'ranking', `ranking/by/${who.pubkey}`, of)!.id;
  const { plan, totalMsat } = arenaPlan(script.state, { ...stage, ranks });
  const content = { stage: stage.stage, ranking, plan: [...plan], totalMsat, ...change };
  script.say(who, 'arena-settlement', `settlement/by/${who.pubkey}`, content);
}
const byOf = (script: ArenaScript, at = 0) => settlementsOf(script.state.stages[at]!).map(({ author }) => author);

describe('a customer that falls silent after it opened the names', () => {
  it('is settled by a trainer or a validator, with the lines that it would have signed itself', () => {
    const whole = scriptArena().at('settlement/0', 'arena-settlement').content.plan;
    for (const who of [people[0]!, people[5]!]) {
      const script = silent();
      settle(script, who);
      expect(byOf(script)).toEqual([who.pubkey]);
      const amounts = (plan: typeof whole) => plan.map(({ payee, amountMsat }) => [payee, amountMsat]);
      expect(amounts(settlementsOf(script.stage)[0]!.content.plan)).toEqual(amounts(whole));
    }
  });

  it('is not settled by somebody without a part in the stage, nor by a msat more', () => {
    const script = silent();
    settle(script, person('a stranger'));
    const { plan } = arenaPlan(script.state, { ...script.stage, ranks: ranksOf(script.stage, 3) });
    settle(script, people[0]!, {
      plan: plan.map((line, i) => ({ ...line, amountMsat: line.amountMsat + BigInt(i % 2) })),
    });
    expect(script.folded).toMatchObject({ phase: 'scored', firstBad: null });
    expect(byOf(script)).toEqual([]);
  });

  it('comes back, says the same and goes on: nobody broke a rule', () => {
    const script = scriptArena({ after: { 'table/0': (so) => settle(so, people[1]!) } });
    expect(script.folded).toMatchObject({ phase: 'finished', firstBad: null, forks: [] });
    expect(byOf(script)).toEqual([customer.pubkey, people[1]!.pubkey]);
  });

  it('is settled even where it forks its chain to get away', () => {
    const script = silent();
    settle(script, people[0]!);
    const fork = scriptArena({
      alter: {
        'table/0': (table: ContentOf<'alias-table'>) => ({ ...table, entries: [...table.entries].reverse() }),
      },
    });
    const twice = fork.at('table/0', 'alias-table');
    const after = { ...twice, seq: script.parsed.filter(({ author }) => author === customer.pubkey).length };
    const events = [...script.parsed, { ...after, id: `0${after.id.slice(1)}` as typeof after.id }, after];
    const folded = foldArena(script.jobId, events);
    expect(folded).toMatchObject({ phase: 'frozen', firstBad: { rule: 'fork' } });
    expect(settlementsOf(folded.state!.stages[0]!)).toHaveLength(1);
  });

  it('stays settled when who settled forks its own chain', () => {
    const script = silent();
    settle(script, people[0]!);
    const first = script.at('submit/0/0', 'submit');
    const folded = foldArena(script.jobId, [
      ...script.parsed,
      { ...first, id: `0${first.id.slice(1)}` as typeof first.id },
    ]);
    expect(folded.forks).toHaveLength(1);
    expect(settlementsOf(folded.state!.stages[0]!)).toHaveLength(1);
  });
});

it('a model that nobody can load has no rank, and nothing of the pot', () => {
  const score = (trainer: string) => (trainer === people[0]!.pubkey ? 300_000 : WORST_SCORE_PPM);
  const script = scriptArena({ score });
  expect(script.folded.phase).toBe('finished');
  expect(script.stage.ranks.map(({ trainer }) => trainer)).toEqual([people[0]!.pubkey]);
  const { plan } = script.at('settlement/1', 'arena-settlement').content;
  expect(plan.filter(({ purpose }) => purpose !== 'fee').map(({ amountMsat }) => amountMsat)).toEqual([720_000n]);
});
