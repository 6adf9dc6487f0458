import { describe, expect, it } from 'vitest';
import type { EventId, Sha256 } from '../../src/hash.js';
import type { ContentOf, EventName } from '../../src/protocol/events.js';
import {
  commitOf,
  customer,
  hashOf,
  people,
  pointerTo,
  revealOf,
  scriptJob,
  type JobScript,
  type ScriptOptions,
} from '../support/job-script.js';

/** The state when the job stands still after `step`, which is changed. */
function changed<K extends EventName>(
  step: string,
  _type: K,
  change: (content: ContentOf<K>, script: JobScript) => ContentOf<K>,
  options: ScriptOptions = {},
) {
  const script = scriptJob({ ...options, alter: { ...options.alter, [step]: change }, until: step });
  const { state } = script;
  if (state.firstBad !== null) expect(state.firstBad.event).toBe(script.raw(step).id);
  return { state, rule: state.firstBad?.rule ?? null };
}

const UNKNOWN = hashOf('unknown') as string as EventId;
const swap = <T>(rows: readonly T[]): T[] => [rows[1]!, rows[0]!, ...rows.slice(2)];

describe('opening a round', () => {
  it.each<[string, (open: ContentOf<'open'>) => ContentOf<'open'>]>([
    ['another base than the last aggregate', (open) => ({ ...open, base: pointerTo(hashOf('another')) })],
    ['a number out of turn', (open) => ({ ...open, round: 2 })],
    ['the number of the last round', (open) => ({ ...open, round: 0 })],
    ['a trainer short', (open) => ({ ...open, trainers: open.trainers.slice(1) })],
    ['trainers in another order', (open) => ({ ...open, trainers: swap(open.trainers) })],
    [
      'a stranger',
      (open) => ({ ...open, trainers: [{ trainer: people[7]!.pubkey, shard: 0 }, ...open.trainers.slice(1)] }),
    ],
  ])('with %s breaks open', (_what, change) => {
    expect(changed('open/1', 'open', change).rule).toBe('open');
  });

  it('takes any base in round 0', () => {
    expect(changed('open/0', 'open', (open) => ({ ...open, base: pointerTo(hashOf('x')) })).rule).toBeNull();
  });

  const differing = (open: ContentOf<'open'>, to: Sha256): ContentOf<'open'> => ({
    ...open,
    difference: { coding: 'ordered-words', to, sha256: hashOf('difference'), size: 40 },
  });

  it('with a difference to the model of the round before is as good as with a whole model', () => {
    const to = scriptJob({ until: 'open/0' }).at('open/0', 'open').content.base.sha256;
    expect(changed('open/1', 'open', (open) => differing(open, to)).rule).toBeNull();
  });

  it('with a difference to another model, or in round 0, breaks open', () => {
    expect(changed('open/1', 'open', (open) => differing(open, hashOf('another'))).rule).toBe('open');
    expect(changed('open/0', 'open', (open) => differing(open, open.base.sha256)).rule).toBe('open');
  });

  it('with a ninth difference in a row breaks open', () => {
    const alter = Object.fromEntries(
      Array.from({ length: 9 }, (_, i) => [
        `open/${i + 1}`,
        (open: ContentOf<'open'>, script: JobScript) =>
          differing(open, script.at(`open/${i}`, 'open').content.base.sha256),
      ]),
    );
    const script = scriptJob({ rounds: 10, alter, until: 'open/9' });
    expect(script.state.firstBad).toMatchObject({ event: script.raw('open/9').id, rule: 'open' });
    expect(script.state.rounds).toHaveLength(9);
  });

  it('before the award, while a round is open or before it is settled breaks open', () => {
    for (const until of ['bid/2', 'open/0', 'reveals/0', 'close/0']) {
      const script = scriptJob({ until });
      script.modelHash = script.state.modelHash ?? script.modelHash;
      const trainers = people.slice(0, 3).map(({ pubkey }, shard) => ({ trainer: pubkey, shard }));
      const round = script.state.rounds.length;
      script.say(customer, 'open', 'early', { round, base: pointerTo(script.modelHash), trainers, until: 0 });
      expect(script.state.firstBad).toMatchObject({ event: script.raw('early').id, rule: 'open' });
    }
  });

  it('beyond the promised rounds breaks open', () => {
    const script = scriptJob({ rounds: 1, until: 'received/0/2' });
    const trainers = people.slice(0, 3).map(({ pubkey }, shard) => ({ trainer: pubkey, shard }));
    script.say(customer, 'open', 'more', { round: 1, base: pointerTo(hashOf('model 1')), trainers, until: 0 });
    expect(script.state.firstBad).toMatchObject({ rule: 'open' });
  });
});

describe('seen and list', () => {
  type List = ContentOf<'list'>;

  it('of another round break their rules', () => {
    expect(changed('seen/0', 'seen', (seen) => ({ ...seen, round: 1 })).rule).toBe('seen');
    expect(changed('commits/0', 'list', (list) => ({ ...list, round: 1 })).rule).toBe('list');
    expect(changed('reveals/0', 'list', (list) => ({ ...list, round: 1 })).rule).toBe('list');
  });

  it('that leave out what was seen prove an omission', () => {
    const { rule, state } = changed('commits/0', 'list', (list) => ({ ...list, ids: list.ids.slice(1) }));
    expect(rule).toBe('omission');
    expect(state.rounds[0]!.commitList).toBeNull();
    const seenReveals = scriptJob({
      after: {
        'reveal/0/2': (script) =>
          script.say(customer, 'seen', 'seen-reveals', { round: 0, of: 'reveal', ids: [script.raw('reveal/0/1').id] }),
      },
      alter: {
        'reveals/0': (list: List, script: JobScript) => ({
          ...list,
          ids: list.ids.filter((id) => id !== script.raw('reveal/0/1').id),
        }),
      },
      until: 'reveals/0',
    });
    expect(seenReveals.state.firstBad).toMatchObject({ rule: 'omission' });
  });

  it('must keep what was seen, also when its author forks its chain afterwards', () => {
    const forked = {
      after: {
        'seen/0': (script: JobScript) => script.fork(people[1]!, 'commit/0/1', 'resign', { reason: 'second thoughts' }),
      },
    };
    const kept = scriptJob({ ...forked, until: 'commits/0' });
    expect(kept.state.firstBad).toBeNull();
    expect(kept.state.rounds[0]!.listedCommits.has(1)).toBe(true);
    expect(kept.state.rounds[0]!.commits.has(1)).toBe(true);
    const gone = kept.raw('commit/0/1').id;
    expect(
      changed('commits/0', 'list', (list) => ({ ...list, ids: list.ids.filter((id) => id !== gone) }), forked).rule,
    ).toBe('omission');
  });

  it('may leave out what was never seen', () => {
    const options = { alter: { 'seen/0': (seen: ContentOf<'seen'>) => ({ ...seen, ids: [] }) } };
    expect(changed('commits/0', 'list', (list) => ({ ...list, ids: list.ids.slice(1) }), options).rule).toBeNull();
  });

  it.each<[string, (list: List, script: JobScript) => List]>([
    ['an id twice', (list) => ({ ...list, ids: [...list.ids, list.ids[0]!] })],
    ['an unknown id twice', (list) => ({ ...list, ids: [...list.ids, UNKNOWN, UNKNOWN] })],
    ['no time for reveals', (list) => ({ ...list, until: null })],
    ['an event of another sort', (list, script) => ({ ...list, ids: [...list.ids, script.raw('bid/0').id] })],
    ['reveals before commitments', (list) => ({ ...list, of: 'reveal' })],
  ])('of commitments with %s break list', (_what, change) => {
    expect(changed('commits/0', 'list', change).rule).toBe('list');
  });

  it('of commitments come once, and so do those of reveals', () => {
    for (const step of ['commits/0', 'reveals/0']) {
      const script = scriptJob({ until: step });
      script.say(customer, 'list', 'again', script.at(step, 'list').content);
      expect(script.state.firstBad).toMatchObject({ event: script.raw('again').id, rule: 'list' });
    }
  });

  it('count a trainer’s first commitment only', () => {
    const withTwo: ScriptOptions = {
      after: {
        'commit/0/2': (script) =>
          script.say(people[0]!, 'commit', 'second', { ...script.at('commit/0/0', 'commit').content }),
      },
    };
    const both = (list: List, script: JobScript) => ({ ...list, ids: [...list.ids, script.raw('second').id] });
    expect(changed('commits/0', 'list', both, withTwo).rule).toBe('list');
    expect(changed('commits/0', 'list', (list) => list, withTwo).rule).toBeNull();
  });

  it('name no commitment of a stranger, for another shard or for another round', () => {
    const stranger: ScriptOptions = {
      spares: 1,
      after: {
        'commit/0/2': (script) => script.say(people[3]!, 'commit', 'stray', commitOf(script, 0, people[3]!, 0)),
      },
    };
    const add = (list: List, script: JobScript) => ({ ...list, ids: [...list.ids, script.raw('stray').id] });
    expect(changed('commits/0', 'list', add, stranger).rule).toBe('list');
    for (const change of [{ shard: 1 }, { round: 1 }, { open: hashOf('x') as string as EventId }]) {
      const alter = { 'commit/0/0': (commit: ContentOf<'commit'>) => ({ ...commit, ...change }) };
      expect(changed('commits/0', 'list', (list) => list, { alter }).rule).not.toBeNull();
    }
  });

  it('name no reveal that cites another list, another commitment or another round', () => {
    const cases: ((script: JobScript) => Partial<ContentOf<'reveal'>>)[] = [
      (script) => ({ list: script.raw('open/0').id }),
      (script) => ({ commit: script.raw('commit/0/1').id }),
      () => ({ commit: hashOf('x') as string as EventId }),
      () => ({ round: 1 }),
    ];
    for (const change of cases) {
      const alter = {
        'reveal/0/0': (reveal: ContentOf<'reveal'>, script: JobScript) => ({ ...reveal, ...change(script) }),
      };
      expect(changed('reveals/0', 'list', (list) => list, { alter }).rule).toBe('list');
    }
  });

  it('count a reveal although its listed commitment is not at hand yet', () => {
    const script = scriptJob({ until: 'reveals/0' });
    const { id } = script.raw('commit/0/1');
    const parsed = script.parsed.filter((event) => event.id !== id);
    const partial = scriptJob({ until: 'job' });
    for (const event of parsed.slice(1)) partial.parsed.push(event);
    expect(partial.state).toMatchObject({ firstBad: null, missing: [id] });
    expect(partial.state.rounds[0]!.listedReveals.size).toBe(3);
  });
});

describe('scores', () => {
  type Scores = ContentOf<'scores'>;
  const firstRow = (scores: Scores, change: Partial<Scores['scores'][number]>): Scores => ({
    ...scores,
    scores: scores.scores.map((row, i) => (i === 0 ? { ...row, ...change } : row)),
  });

  it.each<[string, (scores: Scores, script: JobScript) => Scores]>([
    ['a D that does not follow from the losses', (scores) => firstRow(scores, { dPpm: 500_001 })],
    ['an E that does not follow from the losses', (scores) => firstRow(scores, { ePpm: 0 })],
    ['a loss that D and E do not follow from', (scores) => firstRow(scores, { ownAfterPpm: 499_999 })],
    ['another list', (scores, script) => ({ ...scores, list: script.raw('commits/0').id })],
    ['another round', (scores) => ({ ...scores, round: 1 })],
    ['other data than set A', (scores) => ({ ...scores, data: hashOf('b') })],
    ['a trainer twice', (scores) => ({ ...scores, scores: [...scores.scores, scores.scores[0]!] })],
    ['another submission', (scores, script) => firstRow(scores, { submission: script.raw('reveal/0/1').id })],
    ['another shard', (scores) => firstRow(scores, { shard: 5 })],
    ['a trainer without a reveal', (scores) => firstRow(scores, { trainer: people[7]!.pubkey })],
  ])('with %s break scores', (_what, change) => {
    expect(changed('scores/0', 'scores', change).rule).toBe('scores');
  });

  it('come once and after the list of reveals', () => {
    const script = scriptJob({ until: 'scores/0' });
    script.say(customer, 'scores', 'again', script.at('scores/0', 'scores').content);
    expect(script.state.firstBad).toMatchObject({ rule: 'scores' });
    const early = scriptJob({ until: 'commits/0' });
    early.say(customer, 'scores', 'early', { ...script.at('scores/0', 'scores').content, scores: [] });
    expect(early.state.firstBad).toMatchObject({ rule: 'scores' });
  });
});

describe('closing a round', () => {
  type Close = ContentOf<'close'>;
  const reject = (close: Close, i: number, rule: Close['rejected'][number]['rule']): Close => ({
    ...close,
    accepted: close.accepted.filter((_, at) => at !== i),
    rejected: [{ ...close.accepted[i]!, rule, detail: '' }],
  });
  /** Trainer 0 falls to the work floor: nothing gained on its shard. */
  const idle: ScriptOptions = {
    alter: {
      'scores/0': (scores: ContentOf<'scores'>) => ({
        ...scores,
        scores: scores.scores.map((row, i) =>
          i === 0 ? { ...row, ownAfterPpm: 1_000_000, dPpm: 0, ePpm: -200_000 } : row,
        ),
      }),
    },
  };

  it.each<[string, (close: Close, script: JobScript) => Close]>([
    ['rejects what acceptance accepts', (close) => reject(close, 0, 'work-floor')],
    ['leaves an accepted update out', (close) => ({ ...close, accepted: close.accepted.slice(1) })],
    ['accepts in another order', (close) => ({ ...close, accepted: swap(close.accepted) })],
    [
      'accepts another submission',
      (close, script) => ({
        ...close,
        accepted: close.accepted.map((row, i) => (i === 0 ? { ...row, submission: script.raw('commit/0/0').id } : row)),
      }),
    ],
    ['cites another list', (close, script) => ({ ...close, list: script.raw('commits/0').id })],
    ['cites other scores', (close, script) => ({ ...close, scores: script.raw('reveals/0').id })],
    ['is of another round', (close) => ({ ...close, round: 1 })],
  ])('that %s breaks close', (_what, change) => {
    expect(changed('close/0', 'close', change).rule).toBe('close');
  });

  it('that accepts what acceptance rejects, or names another rule, breaks close', () => {
    expect(changed('close/0', 'close', (close) => close, idle).rule).toBe('close');
    expect(changed('close/0', 'close', (close) => reject(close, 0, 'loss'), idle).rule).toBe('close');
    expect(changed('close/0', 'close', (close) => reject(close, 0, 'work-floor'), idle).rule).toBeNull();
  });

  it('names a root update exactly where the rule takes one', () => {
    const root = pointerTo(hashOf('root'));
    const trusted: ScriptOptions = {
      terms: { aggregation: 'fltrust' },
      alter: { award: (award: ContentOf<'award'>) => ({ ...award, rule: { name: 'fltrust', f: 0, m: 0 } }) },
    };
    expect(changed('close/0', 'close', (close) => ({ ...close, root })).rule).toBe('close');
    expect(changed('close/0', 'close', (close) => close, trusted).rule).toBe('close');
    expect(changed('close/0', 'close', (close) => ({ ...close, root }), trusted).rule).toBeNull();
  });

  it('that names another submission in a rejection breaks close', () => {
    const wrong = (close: Close) => {
      const row = reject(close, 0, 'work-floor');
      return { ...row, rejected: [{ ...row.rejected[0]!, submission: null }] };
    };
    expect(changed('close/0', 'close', wrong, idle).rule).toBe('close');
  });

  it('may reject an update that did not open, which is the customer’s signed finding', () => {
    expect(changed('close/0', 'close', (close) => reject(close, 1, 'blob')).rule).toBeNull();
    expect(changed('close/0', 'close', (close) => reject(close, 1, 'shape')).rule).toBeNull();
  });

  it('below the quorum breaks close', () => {
    const options = { terms: { quorum: 3 } };
    expect(changed('close/0', 'close', (close) => reject(close, 1, 'blob'), options).rule).toBe('close');
  });

  it('before the scores breaks close', () => {
    const script = scriptJob({ until: 'reveals/0' });
    const list = script.raw('reveals/0').id;
    script.say(customer, 'close', 'early', {
      round: 0,
      list,
      scores: list,
      accepted: [],
      rejected: [],
      aggregate: hashOf('x'),
      lossPpm: 0,
      accuracyPpm: null,
    });
    expect(script.state.firstBad).toMatchObject({ rule: 'close' });
  });

  it('rejects who did not commit or reveal, and pays the rest', () => {
    const script = scriptJob({
      rounds: 1,
      terms: { quorum: 1 },
      alter: { 'commit/0/0': () => null, 'reveal/0/2': () => null },
    });
    const { state } = script;
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds[0]!.close!.content.rejected.map(({ rule }) => rule)).toEqual(['absent', 'no-reveal']);
    expect(state.rounds[0]!.payouts.map(({ payee }) => payee)).toEqual([people[1]!.pubkey]);
  });
});

describe('a void round', () => {
  const voidNow = (until: string, options: ScriptOptions = {}, round = 0) => {
    const script = scriptJob({ ...options, until });
    script.say(customer, 'void', 'void', { round, reason: 'no-quorum' });
    return script.state;
  };
  const absent = { alter: { 'commit/0/0': () => null, 'commit/0/1': () => null } };

  it('counts for nobody and leaves the model; the next round may open', () => {
    const { state } = scriptJob({ rounds: 2, ...absent });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds[0]!.voided).not.toBeNull();
    expect(state.rounds[0]!.payouts).toEqual([]);
    expect(state.rounds[1]!.open.content.base.sha256).toBe(hashOf('model 0'));
  });

  it('is one below the quorum, by commitments, by reveals or by accepted updates', () => {
    expect(voidNow('commits/0', absent).firstBad).toBeNull();
    const unrevealed = { alter: { 'reveal/0/0': () => null, 'reveal/0/1': () => null }, terms: { quorum: 1 } };
    expect(
      voidNow('reveals/0', { ...unrevealed, alter: { ...unrevealed.alter, 'reveal/0/2': () => null } }).firstBad,
    ).toBeNull();
    const idle = (scores: ContentOf<'scores'>) => ({
      ...scores,
      scores: scores.scores.map((row, i) =>
        i > 0 ? { ...row, ownAfterPpm: 1_000_000, dPpm: 0, ePpm: -200_000 } : row,
      ),
    });
    expect(voidNow('scores/0', { alter: { 'scores/0': idle } }).firstBad).toBeNull();
  });

  it('above the quorum breaks void: nobody reads the updates and pays for none', () => {
    for (const until of ['commits/0', 'reveal/0/2', 'reveals/0', 'scores/0'])
      expect(voidNow(until).firstBad).toMatchObject({ rule: 'void' });
  });

  it('of another round, or before the list of commitments, breaks void', () => {
    expect(voidNow('commits/0', absent, 1).firstBad).toMatchObject({ rule: 'void' });
    expect(voidNow('commit/0/2', absent).firstBad).toMatchObject({ rule: 'void' });
  });
});

describe('what is out of place', () => {
  it('is any event of a round while none is open', () => {
    for (const until of ['award', 'close/0', 'settlement/1']) {
      const script = scriptJob({ until });
      script.say(customer, 'seen', 'stray', { round: 0, of: 'commit', ids: [] });
      expect(script.state.firstBad).toMatchObject({ rule: 'out-of-place' });
    }
  });

  it('is a participant’s event in the customer’s chain', () => {
    const script = scriptJob({ until: 'open/0' });
    script.say(customer, 'commit', 'own', commitOf(script, 0, customer, 0));
    expect(script.state.firstBad).toMatchObject({ rule: 'out-of-place' });
  });

  it('never are a participant’s own events: they count where the customer names them', () => {
    const script = scriptJob({ until: 'commits/0' });
    script.say(people[0]!, 'award', 'award-of-a-trainer', script.at('award', 'award').content);
    script.say(people[1]!, 'cancel', 'cancel-of-a-trainer', { reason: '' });
    script.say(people[2]!, 'reveal', 'reveal', revealOf(script, 0, people[2]!, 2));
    expect(script.state).toMatchObject({ firstBad: null, phase: 'revealing', cancelled: null });
  });
});
