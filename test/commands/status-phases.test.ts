import { describe, expect, it } from 'vitest';
import { foldJob } from '../../src/market/fold.js';
import { describeJob, WAYS_ON, type LapseState } from '../../src/roles/describe-job.js';
import { describeRounds, describeTrainers } from '../../src/roles/describe-work.js';
import {
  customer,
  people,
  PRICE_MSAT,
  scriptJob,
  START_SEC,
  TERMS,
  type ScriptOptions,
} from '../support/job-script.js';

const at = (options: ScriptOptions, nowSec: number) => describeJob(scriptJob(options).state, nowSec);
const stampOf = (options: ScriptOptions, step: string) => scriptJob(options).raw(step).created_at;

/** [what, until which step, what it waits for, from which step its time counts, seconds allowed, what it becomes] */
const cases: [string, ScriptOptions, string, (options: ScriptOptions) => number, LapseState][] = [
  ['taking bids', { until: 'bid/1' }, 'the award: 2 bids for 3 seats', () => TERMS.deadline, 'lapsed'],
  [
    'an award without answers',
    { until: 'ready/0' },
    '2 of 3 trainers to open their grants',
    (so) => stampOf(so, 'award') + TERMS.readyTimeoutSec,
    'not-started',
  ],
  [
    'seats that are all ready',
    { until: 'ready/2' },
    'the customer to open round 1',
    (so) => stampOf(so, 'ready/2') + TERMS.roundTimeoutSec,
    'not-started',
  ],
  [
    'an open round without a quorum of commitments',
    { until: 'commit/0/0' },
    '1 of 3 updates committed',
    (so) => stampOf(so, 'open/0') + 2 * TERMS.roundTimeoutSec,
    'overdue',
  ],
  [
    'an open round with a quorum',
    { until: 'commit/0/1' },
    '2 of 3 updates committed',
    (so) => stampOf(so, 'open/0') + TERMS.roundTimeoutSec,
    'overdue',
  ],
  [
    'an open round with every commitment',
    { until: 'commit/0/2' },
    'the customer to list 3 commitments',
    (so) => stampOf(so, 'open/0') + TERMS.roundTimeoutSec,
    'overdue',
  ],
  [
    'reveals below the quorum',
    { until: 'reveal/0/0' },
    '1 of 3 updates revealed',
    (so) => stampOf(so, 'commits/0') + 2 * TERMS.revealTimeoutSec,
    'overdue',
  ],
  [
    'listed reveals',
    { until: 'reveals/0' },
    'the customer to score and close round 1',
    (so) => stampOf(so, 'reveals/0') + TERMS.roundTimeoutSec,
    'overdue',
  ],
  [
    'a closed round',
    { until: 'close/0' },
    'the customer to settle round 1',
    (so) => stampOf(so, 'close/0') + TERMS.roundTimeoutSec,
    'unsettled',
  ],
  [
    'a settled round with a claim',
    { until: 'claim/0/0' },
    'the customer to pay 1 claim',
    (so) => stampOf(so, 'claim/0/0') + TERMS.payWithinSec,
    'unpaid',
  ],
  [
    'a paid round',
    { until: 'received/0/2' },
    'the customer to open round 2',
    (so) => stampOf(so, 'receipt/0/2') + TERMS.roundTimeoutSec,
    'overdue',
  ],
  [
    'the last round',
    { until: 'received/1/2' },
    'the customer to publish the model',
    (so) => stampOf(so, 'receipt/1/2') + TERMS.roundTimeoutSec,
    'overdue',
  ],
  [
    'a finished job with an unpaid claim',
    { alter: { 'receipt/1/2': () => null } },
    'the customer to pay 1 claim',
    (so) => stampOf(so, 'claim/1/2') + TERMS.payWithinSec,
    'unpaid',
  ],
];

describe('a phase', () => {
  it.each(cases)(
    'names what it waits for and what it becomes after its time: %s',
    (_, options, waitsFor, ends, lapse) => {
      const end = ends(options);
      expect(at(options, end - 1)).toMatchObject({ waitsFor, until: end, isLapsed: false, lapse: null });
      expect(at(options, end)).toMatchObject({ waitsFor, isLapsed: true, lapse: { state: lapse, since: end } });
    },
  );

  it('without a quorum shows its own end first, then that of its one extension', () => {
    const options = { until: 'commit/0/0' };
    const end = stampOf(options, 'open/0') + TERMS.roundTimeoutSec;
    const extended = end + TERMS.roundTimeoutSec;
    expect(at(options, end - 1)).toMatchObject({ until: end, isLapsed: false });
    expect(at(options, end)).toMatchObject({ until: extended, isLapsed: false });
  });

  it('that goes on in order is late all the same when an earlier round is not paid', () => {
    const options = { alter: { 'receipt/0/1': () => null }, until: 'open/1' };
    const due = stampOf(options, 'claim/0/1') + TERMS.payWithinSec;
    expect(at(options, due)).toMatchObject({
      phase: 'committing',
      waitsFor: '0 of 3 updates committed',
      until: stampOf(options, 'open/1') + TERMS.roundTimeoutSec,
      lapse: { state: 'unpaid', since: due },
    });
  });

  it('waits for nothing after the last payment, and blames nobody for what is not claimed', () => {
    expect(at({}, START_SEC + 10 ** 8)).toMatchObject({ phase: 'finished', waitsFor: null, until: null, lapse: null });
    const options = { alter: { 'claim/1/0': () => null } };
    const end = stampOf(options, 'settlement/1') + TERMS.claimWithinSec;
    expect(at(options, end - 1)).toMatchObject({ waitsFor: '1 payout to be claimed', until: end, lapse: null });
    expect(at(options, end)).toMatchObject({ waitsFor: null, lapse: null });
  });

  it('is frozen at an event that does not follow, and unknown without the job event', () => {
    const frozen = { alter: { 'close/0': (content: object) => ({ ...content, accepted: [] }) }, until: 'close/0' };
    expect(at(frozen, START_SEC + 10 ** 8)).toMatchObject({ phase: 'frozen', waitsFor: null, isLapsed: false });
    const nothing = foldJob(scriptJob({ until: 'job' }).jobId, []);
    expect(describeJob(nothing, START_SEC)).toMatchObject({ phase: 'unknown', waitsFor: null, lapse: null });
  });

  it('ends with a cancelled job', () => {
    const script = scriptJob({ until: 'bid/0' });
    script.say(customer, 'cancel', 'cancel', { reason: '' });
    expect(describeJob(script.state, TERMS.deadline + 1)).toMatchObject({ phase: 'cancelled', waitsFor: null });
  });
});

describe('work', () => {
  it('is told by round: accepted, rejected with the rule, measured, paid and owed', () => {
    const options = { alter: { 'reveal/1/2': () => null, 'receipt/1/0': () => null }, until: 'claim/1/1' };
    const [first, second] = describeRounds(scriptJob(options).state);
    expect(first).toEqual({
      ...{
        round: 0,
        state: 'settled',
        accepted: 3,
        scoredBy: 'customer',
        rejected: [],
        loss: 0.5,
        accuracy: 0.9,
        perplexity: null,
      },
      ...{ paidMsat: 3n * PRICE_MSAT, owedMsat: 0n },
    });
    expect(second).toMatchObject({
      ...{ round: 1, accepted: 2, paidMsat: 0n, owedMsat: 2n * PRICE_MSAT },
      rejected: [{ trainer: people[2]!.pubkey, shard: 2, rule: 'no-reveal' }],
    });
  });

  it('of a text model has its perplexity, e to the loss', () => {
    const { state } = scriptJob({});
    const model = {
      model: 'gpt',
      task: 'classification',
      inputs: 8,
      outputs: 3,
      layers: 1,
      heads: 1,
      width: 4,
    } as const;
    const job = { ...state.job!, content: { ...state.job!.content, model } };
    expect(describeRounds({ ...state, job })[0]!.perplexity).toBe(1.64872);
  });

  it('is told by trainer: seat, accepted rounds, paid and owed', () => {
    const options = { alter: { 'reveal/1/2': () => null, 'receipt/1/0': () => null } };
    expect(describeTrainers(scriptJob(options).state)).toEqual(
      [0, 1, 2].map((shard) => ({
        ...{ pubkey: people[shard]!.pubkey, shard, priceMsat: PRICE_MSAT, seat: 'ready' },
        rounds: shard === 2 ? 1 : 2,
        paidMsat: shard === 1 ? 2n * PRICE_MSAT : PRICE_MSAT,
        owedMsat: shard === 0 ? PRICE_MSAT : 0n,
      })),
    );
  });

  it('names who was replaced before who holds the seat now', () => {
    const script = scriptJob({ spares: 1, until: 'received/0/2' });
    const spare = script.state.spares[0]!;
    script.say(customer, 'replace', 'replace', {
      ...{ shard: 1, out: people[1]!.pubkey, reason: 'absent' },
      in: { trainer: spare.trainer, bid: spare.bid, priceMsat: spare.priceMsat, grant: TERMS.evalA.commitment },
    });
    expect(describeTrainers(script.state).map(({ pubkey, shard, seat }) => [pubkey, shard, seat])).toEqual([
      [people[0]!.pubkey, 0, 'ready'],
      [people[1]!.pubkey, 1, 'replaced'],
      [people[3]!.pubkey, 1, 'waiting'],
      [people[2]!.pubkey, 2, 'ready'],
    ]);
  });
});

it.each(Object.entries(WAYS_ON))('%s has a way on for each side', (_, { customer, trainer }) => {
  expect([customer, trainer].every((text) => /^(nmkt [a-z-]+|nothing: )/.test(text))).toBe(true);
});
