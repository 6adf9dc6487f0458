import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256, type Pubkey } from '../../src/hash.js';
import { lowerMedian } from '../../src/learning/lower-median.js';
import { consensus, isEnough } from '../../src/market/consensus.js';
import { foldJob } from '../../src/market/fold.js';
import type { ContentOf, EventOf } from '../../src/protocol/events.js';
import { MEASURES, type ScoreRow } from '../../src/protocol/score.js';
import {
  customer,
  ENGINE,
  hashOf,
  people,
  PRICE_MSAT,
  scoreOf,
  scriptJob,
  type JobScript,
  spotTerms,
  type ScriptOptions,
} from '../support/job-script.js';
import { inOrder } from '../support/validator-contents.js';

const withThree = (options: ScriptOptions = {}) => scriptJob({ trainers: 2, rounds: 1, validators: 3, ...options });
const spot = (options: ScriptOptions = {}) => withThree({ ...options, terms: spotTerms(options.rounds ?? 1) });

/** `after` of a million ppm are left on the own shard, on other data all. */
const row = (script: { readonly shard: number }, after: number): Partial<ScoreRow> => ({
  ...script,
  ownAfterPpm: after,
  otherAfterPpm: 1_000_000,
  dPpm: 1_000_000 - after,
  ePpm: 1_000_000 - after,
});
const saying =
  (after: number) =>
  (sheet: ContentOf<'scores'>): ContentOf<'scores'> => ({
    ...sheet,
    scores: sheet.scores.map((one) => ({ ...one, ...row({ shard: one.shard }, after) })),
  });

describe('the median of validators', () => {
  it('is the lower of the two in the middle', () => {
    expect(lowerMedian([3])).toBe(3);
    expect(lowerMedian([9, 1, 5])).toBe(5);
    expect(lowerMedian([9, 1, 5, 3])).toBe(3);
  });

  it('needs more than half of the seats: 1 of 1, 2 of 2, 2 of 3, 3 of 4, 3 of 5', () => {
    for (const [seats, least] of [1, 2, 2, 3, 3].map((need, i) => [i + 1, need] as const))
      expect([isEnough(least - 1, seats), isEnough(least, seats)]).toEqual([false, true]);
  });

  const sheet = (rows: readonly ScoreRow[], engine = 'e'): Pick<EventOf<'scores'>, 'content'> => ({
    content: { round: 0, list: hashOf('l') as never, engine: engine as never, data: hashOf('d'), scores: [...rows] },
  });
  const measured = (value: number, end = 'honest'): ScoreRow => ({
    ...scoreOf(hashOf('submission') as never, people[0]!.pubkey, 0),
    ...Object.fromEntries(MEASURES.map((field) => [field, value])),
    spot: { segment: 2, hash: hashOf(end) },
  });
  const key = (i: number) => Buffer.from(sha256(`v${i}`)).toString('hex') as Pubkey;

  it('stays among what honest validators say, whatever fewer than half of them say or leave out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.option(fc.integer({ min: -1e12, max: 1e12 })), { maxLength: 7 }),
        (honest, others) => {
          const lies = others.slice(0, honest.length - 1);
          const all = [
            ...honest.map((value) => sheet([measured(value)])),
            ...lies.map((value) => sheet(value === null ? [] : [measured(value, 'forged')])),
          ];
          const [found] = consensus(new Map(all.map((one, i) => [key(i), one])), 'e');
          for (const field of MEASURES) {
            expect(found![field]).toBeGreaterThanOrEqual(Math.min(...honest));
            expect(found![field]).toBeLessThanOrEqual(Math.max(...honest));
          }
          expect(found!.spot).toEqual({ segment: 2, hash: hashOf('honest') });
        },
      ),
    );
  });

  it('does not depend on the order in which they came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 9 }).chain((values) =>
          fc.tuple(
            fc.constant(values),
            fc.shuffledSubarray(
              values.map((_, i) => i),
              { minLength: values.length },
            ),
          ),
        ),
        ([values, order]) => {
          const all = values.map((value, i) => [key(i), sheet([measured(value)])] as const);
          expect(consensus(new Map(order.map((i) => all[i]!)), 'e')).toEqual(consensus(new Map(all), 'e'));
        },
      ),
    );
  });

  it('has no row for an update that half of them did not score, and no repetition that half of the checkers did not see', () => {
    const [a, b] = [measured(1), measured(2)];
    expect(
      consensus(
        new Map([
          [key(0), sheet([a])],
          [key(1), sheet([])],
        ]),
        'e',
      ),
    ).toEqual([]);
    const other = { ...b, spot: { segment: 2, hash: hashOf('forged') } };
    expect(
      consensus(
        new Map([
          [key(0), sheet([a])],
          [key(1), sheet([other])],
        ]),
        'e',
      )[0]!.spot,
    ).toBeNull();
    // Of those on another engine nobody counts what they repeated.
    const mixed = new Map([
      [key(0), sheet([a])],
      [key(1), sheet([other], 'f')],
      [key(2), sheet([other], 'f')],
    ]);
    expect(consensus(mixed, 'e')[0]!.spot).toEqual(a.spot);
  });
});

describe('a scripted job with three validators', () => {
  it('closes by the list of their scores and promises each its fee', () => {
    for (const script of [withThree(), spot()]) {
      const { state } = script;
      expect(state).toMatchObject({ phase: 'finished', firstBad: null, missing: [] });
      expect(state.rounds[0]!.verdict).toMatchObject({ by: script.raw('score-reveals/0').id, from: 'validators' });
      const { plan, totalMsat } = script.at('settlement/0', 'settlement').content;
      expect(totalMsat).toBe(2n * PRICE_MSAT + 15_000n);
      expect(plan.map(({ purpose }) => purpose).sort()).toEqual(['fee', 'fee', 'fee', 'trainer', 'trainer']);
      expect(plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n)).toBe(totalMsat);
    }
  });

  it('counts the scores of the customer where too few revealed, and pays who did', () => {
    const script = withThree({ alter: { 'score-reveal/0/0': () => null, 'score-commit/0/2': () => null } });
    expect(script.state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(script.state.rounds[0]!.verdict).toMatchObject({ by: script.raw('scores/0').id, from: 'customer' });
    const fees = script.at('settlement/0', 'settlement').content.plan.filter(({ purpose }) => purpose === 'fee');
    expect(fees.map(({ payee }) => payee)).toEqual([inOrder(script, 3)[1]!.pubkey]);
  });

  it('is not moved by one that says an update lost all, and is by two', () => {
    const one = withThree({ sheets: { 1: saying(1_500_000) } });
    expect(one.state).toMatchObject({ phase: 'finished', firstBad: null });
    const two = withThree({ sheets: { 0: saying(1_500_000), 1: saying(1_500_000) } });
    // The script closes as if both were accepted: two of three say otherwise.
    expect(two.state.firstBad).toMatchObject({ rule: 'close' });
  });

  it('does not depend on the order in which its events came, nor blames the customer for what has not', () => {
    const script = spot({ alter: { 'score-reveal/0/1': () => null } });
    const expected = script.state;
    expect(expected.firstBad).toBeNull();
    fc.assert(
      fc.property(fc.shuffledSubarray(script.parsed, { minLength: script.parsed.length }), (events) => {
        expect(foldJob(script.jobId, events)).toEqual(expected);
      }),
      { numRuns: 20 },
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(script.parsed), (events) => {
        expect(foldJob(script.jobId, events).firstBad).toBeNull();
      }),
      { numRuns: 100 },
    );
  });

  it('takes the seat of who misses three rounds in a row, not of who misses two', () => {
    const missing = Object.fromEntries([0, 1, 2].map((round) => [`score-commit/${round}/0`, () => null]));
    const lost = withThree({ rounds: 4, alter: { ...missing, 'score-commit/3/0': () => null } });
    const [first] = inOrder(lost, 3);
    expect(lost.state.rounds.map(({ validators }) => validators.length)).toEqual([3, 3, 3, 2]);
    expect(lost.state.validators.find(({ validator }) => validator === first!.pubkey)).toMatchObject({ isLost: true });
    const back = withThree({ rounds: 4, alter: { 'score-commit/0/0': () => null, 'score-commit/1/0': () => null } });
    expect(back.state.rounds.map(({ validators }) => validators.length)).toEqual([3, 3, 3, 3]);
    expect(back.state.validators.map(({ missed }) => missed)).toEqual([0, 0, 0]);
  });

  it('leaves out of a round who did not open its nonce, and draws by those that were opened', () => {
    const script = spot({ alter: { 'nonce/0/2': () => null, 'score-commit/0/2': () => null } });
    expect(script.state.firstBad).toBeNull();
    expect(script.state.rounds[0]!.drawNonces).toHaveLength(2);
    const late = spot({ alter: { 'nonce/0/2': () => null } });
    expect(late.state.firstBad).toMatchObject({
      rule: 'list',
      detail: expect.stringContaining('does not count') as string,
    });
  });
});

describe('a false score', () => {
  const twice = (sheet: ContentOf<'scores'>): ContentOf<'scores'> => ({
    ...sheet,
    scores: sheet.scores.map((one) => ({ ...one, lossPpm: 2 * one.lossPpm })),
  });

  it('is proven by two of three on one engine, to whom it costs fee and seat', () => {
    const script = withThree({ rounds: 2, sheets: { 1: twice }, alter: { 'score-commit/1/1': () => null } });
    const { state } = script;
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.rounds.map(({ validators }) => validators.length)).toEqual([3, 2]);
    const witnesses = [0, 2].map((i) => script.raw(`score-reveal/0/${i}`).id).sort();
    expect(script.at('validator-fraud/0/1', 'validator-fraud').content).toMatchObject({ field: 'lossPpm', witnesses });
    const { plan } = script.at('settlement/0', 'settlement').content;
    expect(plan.filter(({ purpose }) => purpose === 'fee')).toHaveLength(2);
  });

  it('is proven by nobody where the engine is another, or not one that repeats to the bit', () => {
    for (const engine of ['node/1/2/x64', 'cpu/1/2/x64'] as const) {
      const other = (sheet: ContentOf<'scores'>) => ({ ...twice(sheet), engine: engine as typeof sheet.engine });
      const script = withThree({ sheets: { 1: other } });
      expect(script.state.validatorFrauds.size).toBe(0);
      expect(script.state).toMatchObject({ phase: 'finished', firstBad: null });
    }
  });

  it('cannot be made up: not of an honest one, not with other witnesses, not twice', () => {
    const change = (made: (content: ContentOf<'validator-fraud'>, so: JobScript) => object) =>
      withThree({
        sheets: { 1: twice },
        alter: {
          'validator-fraud/0/1': (content: ContentOf<'validator-fraud'>, so) => ({ ...content, ...made(content, so) }),
        },
      }).state.firstBad;
    const honest = (so: JobScript) => so.raw('score-reveal/0/0');
    const other = change((_, so) => ({ validator: honest(so).pubkey, scores: honest(so).id }));
    expect(other).toMatchObject({ rule: 'validator-fraud' });
    expect(change(({ witnesses }) => ({ witnesses: witnesses.slice(1) }))).toMatchObject({ rule: 'validator-fraud' });
    expect(change(() => ({ field: 'dPpm' }))).toMatchObject({ rule: 'validator-fraud' });
    const again = withThree({
      sheets: { 1: twice },
      after: {
        'validator-fraud/0/1': (so) =>
          so.say(customer, 'validator-fraud', 'again', so.at('validator-fraud/0/1', 'validator-fraud').content),
      },
    });
    expect(again.state.firstBad).toMatchObject({ rule: 'validator-fraud' });
  });

  it('needs more than half of those on its engine, in any order, and never names one of two', () => {
    const lies = withThree({ sheets: { 1: twice }, alter: { 'score-reveal/0/2': () => null } });
    expect(lies.state.validatorFrauds.size).toBe(0);
    const script = withThree({ sheets: { 1: twice } });
    fc.assert(
      fc.property(fc.shuffledSubarray(script.parsed, { minLength: script.parsed.length }), (events) => {
        expect([...foldJob(script.jobId, events).validatorFrauds]).toEqual([...script.state.validatorFrauds]);
      }),
      { numRuns: 10 },
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(script.parsed), (events) => {
        expect(foldJob(script.jobId, events).firstBad).toBeNull();
      }),
      { numRuns: 60 },
    );
  });
});

describe('what the fold refuses', () => {
  const broken = (rule: string, options: ScriptOptions, isSpot = false): void => {
    expect((isSpot ? spot : withThree)(options).state.firstBad).toMatchObject({ rule });
  };
  type Award = ContentOf<'award'>;
  const sheet = (change: (content: ContentOf<'scores'>) => ContentOf<'scores'>) => ({ 'score-reveal/0/0': change });

  it('an award with a trainer, the customer, a stranger order or too many validators', () => {
    broken('award-validators', {
      alter: { award: (content: Award) => ({ ...content, validators: [...content.validators!].reverse() }) },
    });
    broken('award-validators', { terms: { validators: { count: 2, feeMsat: 0n } } });
    broken('award-validators', {
      alter: {
        award: (content: Award, so: JobScript) => ({
          ...content,
          validators: [{ validator: people[0]!.pubkey, register: so.raw('bid/0').id, grant: hashOf('g') }],
        }),
      },
    });
  });

  it('scores that are not what was committed to, are salted otherwise, or whose D does not follow', () => {
    broken('list', { alter: sheet(saying(400_000)) });
    broken('list', {
      alter: sheet((content) => ({ ...content, opening: { ...content.opening!, salt: sha256('x') } })),
    });
    const wrongD = (content: ContentOf<'scores'>) => ({
      ...content,
      scores: content.scores.map((one) => ({ ...one, dPpm: 1 })),
    });
    broken('list', { sheets: { 0: wrongD } });
  });

  it('a nonce that is not of its chain, or that was seen and is left out of the draw', () => {
    broken(
      'draw',
      { alter: { 'nonce/0/0': (content: ContentOf<'nonce'>) => ({ ...content, nonce: sha256('x') }) } },
      true,
    );
    const out = (content: ContentOf<'draw'>) => ({ ...content, nonces: content.nonces!.slice(1) });
    const seen: ScriptOptions = {
      after: {
        'nonce/0/2': (so) =>
          so.say(customer, 'seen', 'seen-nonces', {
            round: 0,
            of: 'nonce',
            ids: [0, 1, 2].map((i) => so.raw(`nonce/0/${i}`).id),
          }),
      },
      alter: { 'draw/0': out },
    };
    broken('omission', seen, true);
  });

  it('a score commitment that was seen and is not listed', () => {
    broken('omission', {
      after: {
        'score-commit/0/2': (so) =>
          so.say(customer, 'seen', 'seen-scores', {
            round: 0,
            of: 'score-commit',
            ids: [so.raw('score-commit/0/0').id],
          }),
      },
      alter: {
        'score-commits/0': (content: ContentOf<'list'>, so: JobScript) => ({
          ...content,
          ids: content.ids.filter((id) => id !== so.raw('score-commit/0/0').id),
        }),
      },
    });
  });

  it('scores of the customer while those of the validators count', () => {
    broken('scores', {
      after: {
        'score-commits/0': (so) =>
          so.say(customer, 'scores', 'own', {
            round: 0,
            list: so.raw('reveals/0').id,
            engine: ENGINE,
            data: so.at('job', 'job').content.evalA.commitment,
            scores: [],
          }),
      },
    });
  });

  it('a fee for who did not reveal', () => {
    broken('settlement', {
      alter: {
        'score-reveal/0/2': () => null,
        'settlement/0': (content: ContentOf<'settlement'>) => ({ ...content, totalMsat: content.totalMsat + 5_000n }),
      },
    });
  });
});
