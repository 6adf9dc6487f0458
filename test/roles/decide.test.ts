import { describe, expect, test } from 'vitest';
import { currentRound, type JobState } from '../../src/market/state.js';
import {
  decideCustomer,
  restsOnAbsence,
  seenIntervalSec,
  type CustomerFacts,
} from '../../src/roles/customer-decide.js';
import { decideTrainer, type TrainerFacts } from '../../src/roles/trainer-decide.js';
import {
  customer,
  people,
  PRICE_MSAT,
  scriptJob,
  START_SEC,
  TERMS,
  type JobScript,
  type ScriptOptions,
} from '../support/job-script.js';

/** After the last event of any script, before any timeout. */
const SOON = START_SEC + 100;

/** The script up to a step; `without` steps are left out. */
function after(until: string, without: readonly string[] = [], options: ScriptOptions = {}): JobScript {
  const alter = Object.fromEntries(without.map((step) => [step, () => null]));
  return scriptJob({ until, alter, ...options });
}

/** A round lasts 900 seconds, and 120 for reveals, from the stamps of the open and of the list of commitments. */
const COMMITS_UNTIL = after('open/0').at('open/0', 'open').createdAt + 900;
const REVEALS_UNTIL = after('commits/0').at('commits/0', 'list').createdAt + 120;

const leaderFacts = (facts: Partial<CustomerFacts> = {}): CustomerFacts => ({
  servingSince: START_SEC,
  relaysSilentAt: 0,
  walletAwayAt: 0,
  lastSeenAt: SOON,
  heldPayouts: new Set(),
  ...facts,
});
/** The action in short: `wait until 960`, times from START_SEC. */
function leads(state: JobState, now = SOON, facts: Partial<CustomerFacts> = {}): string {
  const action = decideCustomer(state, leaderFacts(facts), now);
  switch (action.do) {
    case 'wait':
      return `wait until ${action.until - START_SEC}`;
    case 'replace':
      return `replace ${action.shard}: ${action.reason}`;
    case 'list':
    case 'seen':
      return `${action.do} ${action.ids.length} of ${action.of}`;
    case 'stop':
      return `stop: ${action.why}`;
    case 'done':
      return `done, ${action.unpaid} unpaid`;
    default:
      return action.do;
  }
}

const waitFor = (until: number) => `wait until ${until - START_SEC}`;

describe('the customer', () => {
  const cases: [string, string, string][] = [
    ['nothing yet', 'job', 'wait until 86400'],
    ['one bid of three', 'bid/0', 'wait until 86400'],
    ['a bid for every seat', 'bid/2', 'award'],
    ['an award nobody answered', 'award', 'wait until 124'],
    ['two of three ready', 'ready/1', 'wait until 124'],
    ['all ready', 'ready/2', 'open'],
    ['an open round', 'open/0', 'wait until 160'],
    ['two of three commitments', 'commit/0/1', 'wait until 160'],
    ['all commitments', 'commit/0/2', 'list 3 of commit'],
    ['commitments listed', 'commits/0', 'wait until 130'],
    ['all reveals', 'reveal/0/2', 'list 3 of reveal'],
    ['reveals listed', 'reveals/0', 'measure'],
    ['scored, not closed: a restart', 'scores/0', 'measure'],
    ['closed', 'close/0', 'settle'],
    ['settled, nobody claims yet', 'settlement/0', 'open'],
    ['a claim', 'claim/0/0', 'pay'],
    ['all paid', 'received/0/2', 'open'],
    ['the last round paid', 'received/1/2', 'publish-model'],
    ['the model published', 'artifact', 'done, 0 unpaid'],
  ];
  for (const [what, step, wanted] of cases)
    test(`${what}: ${wanted}`, () => expect(leads(after(step).state)).toBe(wanted));

  test('leaves a payee 30 seconds to claim, counted again after an outage', () => {
    const script = after('settlement/0');
    const settledAt = script.at('settlement/0', 'settlement').createdAt;
    expect(leads(script.state, settledAt)).toBe(`wait until ${settledAt + 30 - START_SEC}`);
    expect(leads(script.state, settledAt + 30)).toBe('open');
    expect(leads(script.state, settledAt + 30, { relaysSilentAt: settledAt + 20 })).toBe(
      `wait until ${settledAt + 50 - START_SEC}`,
    );
  });

  test('waits for its own wallet while that is away, until the payment is due', () => {
    const claimedBy = (step: string) => {
      const script = after(step);
      const { createdAt, content } = script.at('claim/0/0', 'claim');
      return { script, claimedAt: createdAt, heldPayouts: new Set([content.payout]) };
    };
    const { script, claimedAt, heldPayouts } = claimedBy('claim/0/0');
    const settledAt = script.at('settlement/0', 'settlement').createdAt;
    const away = (walletAwayAt: number) => ({ heldPayouts, walletAwayAt });
    expect(leads(script.state, settledAt + 40, away(settledAt + 35))).toBe(waitFor(settledAt + 65));
    expect(leads(script.state, settledAt + 65, away(settledAt + 35))).toBe('open');
    const dueAt = claimedAt + 600;
    expect(leads(script.state, dueAt - 1, away(dueAt - 1))).toBe(waitFor(dueAt));
    expect(leads(script.state, dueAt, away(dueAt))).toBe('open');
  });

  test('leaves a held payout alone and pays the next', () => {
    const script = after('claim/0/0');
    const { payout } = script.at('claim/0/0', 'claim').content;
    const settledAt = script.at('settlement/0', 'settlement').createdAt;
    expect(leads(script.state, settledAt + 1, { heldPayouts: new Set([payout]) })).toMatch(/^wait/);
    expect(leads(script.state, settledAt + 30, { heldPayouts: new Set([payout]) })).toBe('open');
  });

  test('awards a quorum when the window ends, fewer never, and lapses at the deadline', () => {
    const two = after('bid/1').state;
    expect(leads(two, START_SEC + 59)).toBe('wait until 60');
    expect(leads(two, START_SEC + 60)).toBe('award');
    expect(leads(two, START_SEC + 60, { servingSince: START_SEC + 30 })).toBe('wait until 90');
    const one = after('bid/0').state;
    expect(leads(one, START_SEC + 61)).toBe(`wait until ${TERMS.deadline - START_SEC}`);
    expect(leads(one, TERMS.deadline)).toBe('stop: lapsed');
  });

  test('waits for the whole window where the job says so', () => {
    const { state } = after('bid/2', [], { terms: { award: 'deadline' } });
    expect(leads(state, START_SEC + 59)).toBe('wait until 60');
    expect(leads(state, START_SEC + 60)).toBe('award');
  });

  test('counts no bid that the auction refuses', () => {
    const alter = { 'bid/0': (bid: object) => ({ ...bid, engine: 'node/1/4.22.0/x64' }) };
    expect(leads(scriptJob({ until: 'bid/2', alter }).state, START_SEC + 59)).toBe('wait until 60');
    const dear = { 'bid/1': (bid: object) => ({ ...bid, priceMsat: TERMS.maxPriceMsat + 1n }) };
    expect(leads(scriptJob({ until: 'bid/2', alter: { ...alter, ...dear } }).state, START_SEC + 60)).toMatch(/^wait/);
  });

  test('replaces who is not ready in time; the time runs only while it could be heard', () => {
    const { state } = after('ready/2', ['ready/1'], { spares: 1 });
    const awardedAt = state.award!.createdAt;
    expect(leads(state, awardedAt + 119)).toMatch(/^wait/);
    expect(leads(state, awardedAt + 120)).toBe('replace 1: not-started');
    expect(leads(state, awardedAt + 120, { servingSince: awardedAt + 50 })).toBe(
      `wait until ${awardedAt + 170 - START_SEC}`,
    );
    expect(leads(state, awardedAt + 120, { relaysSilentAt: awardedAt + 60 })).toBe(
      `wait until ${awardedAt + 180 - START_SEC}`,
    );
  });

  test('lists at the deadline with a quorum, else after one extension; then the round is void', () => {
    const two = after('commit/0/2', ['commit/0/1']);
    const facts = { lastSeenAt: START_SEC + 10_000 };
    expect(leads(two.state, COMMITS_UNTIL - 1, facts)).toBe(waitFor(COMMITS_UNTIL));
    expect(leads(two.state, COMMITS_UNTIL, facts)).toBe('list 2 of commit');
    const one = after('commit/0/2', ['commit/0/0', 'commit/0/1']);
    expect(leads(one.state, COMMITS_UNTIL, facts)).toBe(waitFor(COMMITS_UNTIL + 900));
    expect(leads(one.state, COMMITS_UNTIL + 900, facts)).toBe('list 1 of commit');
    expect(leads(after('commits/0', ['commit/0/1', 'commit/0/2']).state)).toBe('void');
    const reveal = after('reveal/0/2', ['reveal/0/0', 'reveal/0/1']);
    expect(leads(reveal.state, REVEALS_UNTIL, facts)).toBe(waitFor(REVEALS_UNTIL + 120));
    expect(leads(reveal.state, REVEALS_UNTIL + 120, facts)).toBe('list 1 of reveal');
    expect(leads(after('reveals/0', ['reveal/0/1', 'reveal/0/2']).state)).toBe('void');
  });

  test('after an outage or a restart gives everybody a minute before it closes a list', () => {
    const { state } = after('commit/0/2', ['commit/0/1']);
    const facts = { lastSeenAt: START_SEC + 10_000 };
    expect(leads(state, COMMITS_UNTIL, { ...facts, relaysSilentAt: COMMITS_UNTIL - 10 })).toBe(
      waitFor(COMMITS_UNTIL + 50),
    );
    expect(leads(state, COMMITS_UNTIL, { ...facts, servingSince: COMMITS_UNTIL - 1 })).toBe(
      waitFor(COMMITS_UNTIL + 59),
    );
  });

  test('says what it has seen every quarter of a phase, at most every minute, also when it is nothing', () => {
    expect([900, 120, 2].map(seenIntervalSec)).toEqual([60, 30, 1]);
    const { state } = after('commit/0/1');
    expect(leads(state, SOON, { lastSeenAt: SOON - 60 })).toBe('seen 2 of commit');
    expect(leads(after('open/0').state, SOON, { lastSeenAt: SOON - 60 })).toBe('seen 0 of commit');
    const seen = after('seen/0', ['commit/0/2']).state;
    expect(leads(seen, SOON, { lastSeenAt: SOON - 60 })).toBe('seen 0 of commit');
  });

  test('gives the shard of the absent to a spare, if there is one left', () => {
    const without = ['commit/0/1'];
    expect(leads(after('received/0/2', without, { spares: 1 }).state)).toBe('replace 1: absent');
    expect(leads(after('received/0/2', without).state)).toBe('open');
    expect(leads(after('received/0/2', without, { spares: 1, terms: { maxReplacements: 0 } }).state)).toBe('open');
    expect(leads(after('received/0/2', ['reveal/0/1'], { spares: 1 }).state)).toBe('replace 1: absent');
    const voided = after('void/0', ['commit/0/1', 'commit/0/2'], { spares: 1 });
    expect(leads(voided.state)).toBe('replace 1: absent');
  });

  test('stops where an event does not follow', () => {
    const broken = scriptJob({
      until: 'close/0',
      alter: { 'close/0': (close: object) => ({ ...close, accepted: [] }) },
    });
    expect(broken.state.phase).toBe('frozen');
    expect(leads(broken.state)).toBe('stop: frozen');
  });

  test('asks relays before it calls anybody absent, and only then', () => {
    const facts = leaderFacts({ lastSeenAt: START_SEC + 10_000 });
    const asks = (state: JobState, now: number) => restsOnAbsence(decideCustomer(state, facts, now), state);
    expect(asks(after('commit/0/2').state, SOON)).toBe(false);
    expect(asks(after('commit/0/2', ['commit/0/1']).state, COMMITS_UNTIL)).toBe(true);
    expect(asks(after('reveals/0', ['reveal/0/1', 'reveal/0/2']).state, SOON)).toBe(true);
    expect(asks(after('ready/2', ['ready/1']).state, START_SEC + 500)).toBe(true);
    expect(asks(after('ready/2').state, START_SEC + 500)).toBe(false);
  });
});

describe('a trainer', () => {
  const me = people[1]!.pubkey;
  const facts = (changes: Partial<TrainerFacts> = {}): TrainerFacts => ({
    me,
    hasShardGrant: () => true,
    hasRoundGrant: () => true,
    canReveal: () => true,
    republished: () => 20,
    held: new Set(),
    heardAt: SOON,
    deafAt: 0,
    maxExposureMsat: PRICE_MSAT,
    ...changes,
  });
  const acts = (state: JobState, now = SOON, changes: Partial<TrainerFacts> = {}): string => {
    const action = decideTrainer(state, facts(changes), now);
    if (action.do === 'wait') return `wait for ${action.for}`;
    return 'why' in action ? `${action.do}: ${action.why}` : action.do;
  };

  const cases: [string, string, string][] = [
    ['a job', 'job', 'bid'],
    ['another’s bid', 'bid/0', 'bid'],
    ['its own bid', 'bid/1', 'wait for the award'],
    ['an award', 'award', 'answer-grant'],
    ['its grant answered', 'ready/1', 'wait for the next round'],
    ['an open round', 'open/0', 'train'],
    ['its commitment', 'commit/0/1', 'wait for the list of commitments, round 1 of 2'],
    ['the list of commitments', 'commits/0', 'reveal'],
    ['its reveal', 'reveal/0/1', 'wait for the list of reveals, round 1 of 2'],
    ['the list of reveals', 'reveals/0', 'wait for the scores of round 1 of 2'],
    ['the close', 'close/0', 'wait for the next round'],
    ['the settlement', 'settlement/0', 'claim'],
    ['its claim', 'claim/0/1', 'wait for payment for round 1'],
    ['its receipt', 'receipt/0/1', 'countersign'],
    ['its countersignature', 'received/0/1', 'wait for the next round'],
    ['the second round', 'open/1', 'train'],
    ['the model', 'artifact', 'done'],
  ];
  for (const [what, step, wanted] of cases)
    test(`${what}: ${wanted}`, () => expect(acts(after(step).state)).toBe(wanted));

  test('publishes again what is neither seen nor listed, ever more rarely', () => {
    const committed = after('commit/0/1').state;
    const { createdAt } = currentRound(committed)!.commits.get(1)!;
    const at = (sec: number, times: number) => acts(committed, createdAt + sec, { republished: () => times });
    const waiting = 'wait for the list of commitments, round 1 of 2';
    expect([at(119, 0), at(120, 0), at(239, 1), at(240, 1)]).toEqual([waiting, 'republish', waiting, 'republish']);
    const seen = after('seen/0').state;
    expect(acts(seen, createdAt + 800, { republished: () => 0 })).toBe(waiting);
  });

  test('does not call a customer silent that it could not hear', () => {
    const committed = after('commit/0/1').state;
    const late = COMMITS_UNTIL + 10_000;
    expect(acts(committed, late)).toMatch(/^stop: the list of commitments/);
    expect(acts(committed, late, { deafAt: late - 599 })).toBe('wait for the list of commitments, round 1 of 2');
    expect(acts(committed, late, { deafAt: late - 600 })).toMatch(/^stop/);
  });

  test('waits for the grants, not for ever', () => {
    const awarded = after('award').state;
    const none = { hasShardGrant: () => false, hasRoundGrant: () => false };
    expect(acts(awarded, SOON, none)).toBe('wait for the key to the shard');
    expect(acts(awarded, awarded.award!.createdAt + 720, none)).toBe('stop: the key to the shard did not come in time');
    const open = after('open/0').state;
    expect(acts(open, SOON, none)).toBe('wait for the key to round 1 of 2');
    expect(acts(open, COMMITS_UNTIL, none)).toBe('stop: the key to round 1 of 2 did not come in time');
  });

  test('trains for no more than it may be owed', () => {
    const state = after('open/1', ['receipt/0/1']).state;
    expect(acts(state)).toBe('wait for payment of 21000 msat before training for more');
    expect(acts(state, SOON, { maxExposureMsat: 2n * PRICE_MSAT })).toBe('train');
  });

  test('marks a claim unpaid when its time is over, once, and works on for nobody', () => {
    const script = after('claim/0/2', ['receipt/0/0', 'receipt/0/1', 'receipt/0/2']);
    const due = script.at('claim/0/1', 'claim').createdAt + TERMS.payWithinSec;
    expect(acts(script.state, due - 1)).toBe('wait for payment for round 1');
    expect(acts(script.state, due)).toBe('mark-unpaid');
  });

  test('does not reveal below the quorum, nor what it has no bytes of', () => {
    const lonely = after('commits/0', ['commit/0/0', 'commit/0/2']).state;
    expect(acts(lonely)).toBe('wait for the list of reveals, round 1 of 2');
    expect(acts(after('commits/0').state, SOON, { canReveal: () => false })).toMatch(/^wait/);
  });

  test('is not done while its wallet has not shown a receipted payment, but does not wait for ever', () => {
    const script = after('artifact', ['received/1/1']);
    const { payout, receipt } = script.state.rounds[1]!.payouts.find(({ payee }) => payee === me)!;
    const held = { held: new Set([payout]) };
    expect(acts(script.state)).toBe('countersign');
    expect(acts(script.state, SOON, held)).toBe('wait for the wallet, for round 2');
    expect(acts(script.state, receipt!.createdAt + TERMS.payWithinSec, held)).toBe('done');
  });

  test('leaves a customer that says nothing for too long', () => {
    for (const step of ['ready/1', 'reveals/0', 'close/0']) {
      const { state } = after(step);
      const limit = SOON + 2 * TERMS.roundTimeoutSec + 600;
      expect(acts(state, limit - 1), step).toMatch(/^wait/);
      expect(acts(state, limit), step).toMatch(/^stop: .* did not come in time$/);
    }
    const bids = after('bid/1').state;
    expect(acts(bids, TERMS.deadline)).toBe('lost: the job lapsed without an award');
  });

  test('that is a spare waits for a seat until the deadline', () => {
    const { state } = after('received/0/0', [], { trainers: 1, spares: 1 });
    expect(acts(state)).toBe('wait for a seat: this bid is a spare');
    expect(acts(state, TERMS.deadline)).toBe('lost: the award went to other bids');
  });

  test('stops when the customer breaks a rule', () => {
    const alter = { 'settlement/0': (content: object) => ({ ...content, totalMsat: 1n }) };
    expect(acts(scriptJob({ until: 'settlement/0', alter }).state)).toMatch(
      /^stop: the customer broke a rule: settlement/,
    );
  });

  test('with the key of the customer bids on no job of its own', () => {
    expect(customer.pubkey).not.toBe(me);
    expect(acts(after('award').state, SOON, { me: customer.pubkey })).toBe('lost: the award does not name this bid');
  });
});
