import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstDivergence } from '../../src/market/bisect.js';
import { foldJob } from '../../src/market/fold.js';
import { appealable, correctionOf, isAsked, mayChangeUntil, silentIn } from '../../src/market/dispute-state.js';
import { disputes } from '../../src/market/disputes.js';
import { explainPayout } from '../../src/market/explain.js';
import type { PlanLine } from '../../src/protocol/settlement.js';
import { describeRounds, describeTrainers } from '../../src/roles/describe-work.js';
import { proofOf } from '../../src/market/slashing.js';
import { rate } from '../../src/market/reputation.js';
import type { Pubkey } from '../../src/hash.js';
import { owedMsat } from '../../src/market/state.js';
import { disputeOrder } from '../../src/protocol/dispute.js';
import type { ContentOf } from '../../src/protocol/events.js';
import {
  accusedJob,
  appeal,
  correct,
  disputeNonce,
  drawJudges,
  judge,
  listComplaint,
  wholeRun,
} from '../support/dispute-script.js';
import { customer, hashOf, people, PRICE_MSAT, type JobScript } from '../support/job-script.js';
import { outcomesOf } from '../support/second/disputes.js';
import { inOrder } from '../support/validator-contents.js';

const accused = people[1]!.pubkey;
const forged = hashOf('repeated');

function drawn(places?: readonly number[], options = {}): JobScript {
  const so = accusedJob(options);
  listComplaint(so);
  drawJudges(so, places);
  return so;
}
const outcomeOf = (so: JobScript) => so.state.disputes[0]!.outcome;

describe('a dispute', () => {
  it('is open until a drawn validator repeats the segment, whatever the order in which events come', () => {
    const so = drawn();
    expect(so.state).toMatchObject({ phase: 'finished', firstBad: null });
    expect([outcomeOf(so), owedMsat(so.state, accused)]).toEqual(['open', 0n]);
    judge(so, 0, null);
    expect([outcomeOf(so), owedMsat(so.state, accused)]).toEqual(['trainer', PRICE_MSAT]);
    const backwards = foldJob(so.jobId, [...so.parsed].reverse());
    expect(backwards.disputes).toEqual(so.state.disputes);
  });

  it('leaves the proof as it is where the segment does not end as committed', () => {
    const so = drawn();
    judge(so, 0, forged);
    expect([outcomeOf(so), owedMsat(so.state, accused)]).toEqual(['customer', 0n]);
    // Whatever else it ends in: it is not what the trainer committed to.
    const other = drawn();
    judge(other, 0, hashOf('a third end'));
    expect(outcomeOf(other)).toBe('customer');
  });

  it('goes to the next of the order where two contradict each other, and names who lied', () => {
    const so = drawn();
    judge(so, 0, forged);
    judge(so, 1, null);
    expect(so.state.disputes[0]).toMatchObject({ outcome: 'open', liars: [] });
    const [first, second, third] = so.state.disputes[0]!.order!;
    const asked = (validator: typeof first) => isAsked(so.state.disputes[0]!, validator!, 0);
    expect([asked(first), asked(second), asked(third)]).toEqual([false, false, true]);
    judge(so, 2, null);
    expect(so.state.disputes[0]).toMatchObject({ outcome: 'trainer', liars: [first], owedMsat: PRICE_MSAT });
  });

  it('goes to the next one where the party that lost appeals, at most twice', () => {
    const so = drawn();
    judge(so, 0, forged);
    const asked = () => {
      const [dispute] = so.state.disputes;
      return dispute!.order!.map((validator) => isAsked(dispute!, validator, 0));
    };
    expect([outcomeOf(so), asked()]).toEqual(['customer', [false, false, false]]);
    expect(appealable(so.state.disputes[0]!, 'customer')).toBeNull();
    expect(appealable(so.state.disputes[0]!, 'trainer')!.id).toBe(so.raw('verdict/0').id);
    appeal(so, people[1]!, 0);
    expect([outcomeOf(so), asked()]).toEqual(['customer', [false, true, false]]);
    judge(so, 1, null);
    judge(so, 2, null);
    expect(so.state.disputes[0]).toMatchObject({ outcome: 'trainer', liars: [so.state.disputes[0]!.order![0]] });
    // Nobody is left to ask.
    expect(appealable(so.state.disputes[0]!, 'customer')).toBeNull();
    expect(mayChangeUntil(so.state.disputes[0]!, 60)).toBe(0);
  });

  it('counts an appeal of the customer in its own chain, about a verdict of that dispute only', () => {
    const so = drawn();
    judge(so, 0, null);
    expect(appealable(so.state.disputes[0]!, 'customer')!.id).toBe(so.raw('verdict/0').id);
    appeal(so, customer, 0);
    expect(so.state.firstBad).toBeNull();
    expect(so.state.disputes[0]!.appeals.map(({ content }) => content.subject)).toEqual([so.raw('verdict/0').id]);
    const other = drawn();
    other.say(customer, 'complaint', 'odd', { ...other.at('complaint', 'complaint').content });
    expect(other.state.firstBad).toMatchObject({ rule: 'complaint' });
  });

  it('asks one validator more each time that those before it are silent', () => {
    const [dispute] = drawn().state.disputes;
    const at = (sec: number) => {
      const silent = silentIn(dispute!, 60, dispute!.draw!.createdAt + sec);
      return dispute!.order!.map((validator) => isAsked(dispute!, validator, silent));
    };
    expect([at(0), at(59), at(60), at(120)]).toEqual([
      [true, false, false],
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ]);
  });

  it('has nobody to decide it where no validator opened a nonce: the customer’s word stands, and it is said', () => {
    const so = drawn([]);
    expect(so.state.disputes[0]).toMatchObject({ order: [], outcome: 'nobody', owedMsat: 0n });
    const said = disputes(so.state).find(({ rule }) => rule === 'segment')!;
    expect(said).toMatchObject({ trainer: accused, shard: 1 });
    expect(said.detail).toContain('no validator on the engine that the job names opened a nonce');
  });

  it('is drawn by nonces that no party knows: leaving one out changes who is first', () => {
    const so = drawn();
    const [dispute] = so.state.disputes;
    const complaint = so.raw('complaint').id;
    const all = inOrder(so, 3).map((who) => ({ validator: who.pubkey, nonce: disputeNonce(who, 0) }));
    expect(dispute!.order).toEqual(disputeOrder(so.jobId, 0, complaint, all));
    expect(new Set(dispute!.order)).toEqual(new Set(all.map(({ validator }) => validator)));
    const firsts = Array.from({ length: 200 }, (_, i) => disputeOrder(so.jobId, i, complaint, all)[0]!);
    // Each is first in about a third of 200 draws: within five standard deviations.
    for (const { validator } of all) {
      const count = firsts.filter((one) => one === validator).length;
      expect(Math.abs(count - 200 / 3)).toBeLessThan(5 * Math.sqrt((200 * 2) / 9));
    }
  });
});

it('comes to what a second reader makes of the same events, whoever opened a nonce and whatever verdicts say', () => {
  const places = fc.subarray([0, 1, 2]);
  const ends = fc.array(fc.constantFrom(null, forged, hashOf('a third end')), { maxLength: 3 });
  fc.assert(
    fc.property(places, ends, fc.boolean(), (opened, said, isSettled) => {
      const so = drawn(opened);
      said.slice(0, opened.length).forEach((end, place) => judge(so, place, end));
      if (isSettled && said.length > 0 && opened.length > 0) correct(so);
      expect(so.state.firstBad).toBeNull();
      const mine = so.state.disputes.map(({ fraud, order, outcome, owedMsat: owed }) => {
        return { trainer: fraud.content.trainer, order, right: outcome, owedMsat: owed };
      });
      expect(mine).toEqual(outcomesOf(so.events as never));
    }),
    { numRuns: 25 },
  );
}, 30_000);

describe('what a dispute found to be owed', () => {
  const found = (): JobScript => {
    const so = drawn();
    judge(so, 0, null);
    return so;
  };

  it('is explained by its events, and shows as owed by trainer and round', () => {
    const so = found();
    const line = correctionOf(so.jobId, so.state.rounds, so.state.disputes[0]!);
    const told = explainPayout(so.state, line.payout)!;
    expect(told).toMatchObject({ round: 0, state: 'owed', payout: { payee: accused, amountMsat: PRICE_MSAT } });
    const cited = told.causes.flatMap(({ events }) => events.map(({ type }) => type));
    for (const type of ['reveal', 'fraud', 'close', 'complaint', 'dispute', 'dispute-draw', 'verdict'])
      expect(cited).toContain(type);
    expect(describeTrainers(so.state).find(({ pubkey }) => pubkey === accused)).toMatchObject({ owedMsat: PRICE_MSAT });
    expect(describeRounds(so.state)[0]).toMatchObject({ owedMsat: PRICE_MSAT });
  });

  it('is settled by a correction, also after the end, and then owed once', () => {
    const so = found();
    correct(so);
    expect(so.state.firstBad).toBeNull();
    expect(so.state.rounds[0]!.payouts.at(-1)).toMatchObject({ payee: accused, amountMsat: PRICE_MSAT, receipt: null });
    expect(owedMsat(so.state, accused)).toBe(PRICE_MSAT);
    expect(describeRounds(so.state)[0]).toMatchObject({ owedMsat: PRICE_MSAT });
    expect(so.state.disputes[0]!.isSettled).toBe(true);
    const line = so.state.rounds[0]!.payouts.at(-1)!;
    const causes = explainPayout(so.state, line.payout)!.causes;
    const sum = causes.reduce((msat, { adds }) => msat + (adds !== null && 'msat' in adds ? adds.msat : 0n), 0n);
    expect(sum).toBe(PRICE_MSAT);
  });

  it('is settled once, to the accused, at the price of the seat', () => {
    const wrong: ((line: PlanLine) => PlanLine)[] = [
      (line) => ({ ...line, amountMsat: line.amountMsat + 1n }),
      (line) => ({ ...line, payee: people[0]!.pubkey }),
      (line) => ({ ...line, payout: hashOf('payout') }),
    ];
    for (const change of wrong) {
      const so = found();
      correct(so, change);
      expect(so.state.firstBad).toMatchObject({ rule: 'settlement' });
    }
    const twice = found();
    correct(twice);
    correct(twice);
    expect(twice.state.firstBad).toMatchObject({ rule: 'settlement' });
    const undrawn = accusedJob();
    listComplaint(undrawn);
    correct(undrawn);
    expect(undrawn.state.firstBad).toMatchObject({ rule: 'settlement' });
  });
});

describe('stake', () => {
  /** As if validators had repeated the segment in the first place. */
  const sourceOf = ({ state }: JobScript) => ({
    ...state,
    rounds: state.rounds.map((round) => ({ ...round, verdict: { ...round.verdict!, from: 'validators' as const } })),
  });

  it('is lost by a disputed fraud only with a verdict of that draw that confirms it', () => {
    const so = drawn();
    const fraud = so.at('fraud', 'fraud');
    judge(so, 0, forged);
    judge(so, 1, null);
    const [first, second] = [so.at('verdict/0', 'verdict'), so.at('verdict/1', 'verdict')];
    const source = sourceOf(so);
    expect(proofOf(source, [fraud])).toBeNull();
    expect(proofOf(source, [fraud, second])).toBeNull();
    const proof = proofOf(source, [first, fraud])!;
    expect(proof.guilty).toBe(accused);
    expect([...proof.signers]).toContain(first.author);
    // Of another draw, or of who was not drawn.
    expect(proofOf(source, [fraud, { ...first, content: { ...first.content, draw: fraud.id } }])).toBeNull();
    expect(proofOf(source, [fraud, { ...first, author: accused }])).toBeNull();
    expect(proofOf({ ...source, disputes: [] }, [fraud])!.guilty).toBe(accused);
    expect(proofOf(so.state, [fraud, first])).toBeNull();
  });

  it('is lost by two verdicts for one draw', () => {
    const so = drawn();
    judge(so, 0, forged);
    const first = so.at('verdict/0', 'verdict');
    const who = inOrder(so, 3).find(({ pubkey }) => pubkey === first.author)!;
    const other = so.say(who, 'verdict', 'verdict/again', { ...first.content, hash: hashOf('another end') })!;
    expect(proofOf(so.state, [first, other])!.guilty).toBe(first.author);
    expect(outcomeOf(so)).toBe('customer');
  });
});

describe('a rating', () => {
  const matchesOf = (so: JobScript, key: Pubkey, role: 'trainer' | 'customer' | 'validator') =>
    rate([so.state], key, role, { trusted: new Set(), network: 'sandbox' }).matches.map(
      ({ rank, why }) => `${rank}: ${why}`,
    );

  it('takes a false proof off the trainer, and puts it on its customer', () => {
    const so = drawn();
    judge(so, 0, null);
    expect(matchesOf(so, accused, 'trainer')).toEqual([]);
    expect(matchesOf(so, customer.pubkey, 'customer')).toContain('proven: false fraud');
  });

  it('holds a complaint against nobody that drawn validators contradict', () => {
    const so = drawn();
    judge(so, 0, forged);
    expect(matchesOf(so, accused, 'trainer')).toEqual(['proven: fraud']);
    const ofCustomer = matchesOf(so, customer.pubkey, 'customer');
    expect(ofCustomer.filter((text) => text.startsWith('proven'))).toEqual([]);
  });

  it('holds a false verdict against its validator, by the word of each that contradicts it', () => {
    const so = drawn();
    judge(so, 0, forged);
    judge(so, 1, null);
    judge(so, 2, null);
    const [first, second] = so.state.disputes[0]!.order!;
    const of = (key: Pubkey) => matchesOf(so, key, 'validator').filter((text) => text.includes('verdict'));
    expect([of(first!), of(second!)]).toEqual([Array(2).fill('proven: false verdict'), []]);
  });
});

describe('a whole training that was repeated', () => {
  const withEnds = (change: (ends: string[], segment: number) => unknown[]) =>
    accusedJob({
      alter: {
        fraud: (content: ContentOf<'fraud'>, so: JobScript) => {
          const { ends } = wholeRun.fraud(content, so);
          return { ...content, ends: change(ends, content.segment) };
        },
      },
    });

  it('is disputed at the segment where both sides still agree on the start and no more on the end', () => {
    const so = accusedJob({ alter: wholeRun });
    expect(so.state.firstBad).toBeNull();
    const { ends, segment } = so.at('fraud', 'fraud').content;
    const { checkpoints, updateHash } = so.at('reveal/0/1', 'reveal').content;
    expect(firstDivergence([...checkpoints, updateHash], ends!)).toBe(segment);
    listComplaint(so);
    drawJudges(so);
    judge(so, 0, null);
    expect(so.at('verdict/0', 'verdict').content.segment).toBe(segment);
    expect(outcomeOf(so)).toBe('trainer');
  });

  it('proves nothing by a segment whose start is disputed, or another end', () => {
    const bad = [
      withEnds((ends, segment) => ends.with(segment, hashOf('another end'))),
      withEnds((ends) => [...ends, hashOf('one more')]),
      withEnds((ends, segment) => ends.slice(0, segment)),
      ...(withEnds((ends) => ends).at('fraud', 'fraud').content.segment === 0
        ? []
        : [withEnds((ends, segment) => ends.with(segment - 1, hashOf('another start')))]),
    ];
    for (const so of bad) expect(so.state.firstBad).toMatchObject({ rule: 'fraud' });
    expect(bad).toHaveLength(4);
  });
});

describe('a customer', () => {
  const frozenBy = (so: JobScript) => so.state.firstBad;

  it('lists only a complaint of the accused that says that the segment ends as committed, once', () => {
    const so = accusedJob();
    listComplaint(so);
    const { round, shard, complaint } = so.at('dispute', 'dispute').content;
    so.say(customer, 'dispute', 'again', { round, shard, complaint });
    expect(frozenBy(so)).toMatchObject({ rule: 'dispute', detail: expect.stringContaining('already') as string });
    const other = accusedJob({
      alter: { complaint: (content: { found: object }) => ({ ...content, found: { ...content.found, hash: forged } }) },
    });
    listComplaint(other);
    expect(frozenBy(other)).toMatchObject({ rule: 'dispute' });
    const unproven = accusedJob();
    unproven.say(customer, 'dispute', 'dispute', { round: 0, shard: 0, complaint: unproven.raw('fraud').id });
    expect(frozenBy(unproven)).toMatchObject({ rule: 'dispute' });
  });

  it('draws by nonces that validators committed to, one of each, once', () => {
    const withNonce = (nonce: Uint8Array) => {
      const change = (content: object) => ({ ...content, nonce });
      return drawn([0], { alter: { 'dispute-nonce/0': change } });
    };
    expect(frozenBy(withNonce(new Uint8Array(32)))).toMatchObject({ rule: 'dispute-draw' });
    const so = drawn();
    so.say(customer, 'dispute-draw', 'again', so.at('dispute-draw', 'dispute-draw').content);
    expect(frozenBy(so)).toMatchObject({ rule: 'dispute-draw' });
    const twice = drawn([0, 1, 2], {
      alter: {
        'dispute-draw': ({ nonces, ...rest }: { nonces: string[] }) => ({ ...rest, nonces: [nonces[0], nonces[0]] }),
      },
    });
    expect(frozenBy(twice)).toMatchObject({ rule: 'dispute-draw' });
  });
});
