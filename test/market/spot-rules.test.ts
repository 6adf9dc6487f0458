import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { runAuction } from '../../src/market/auction.js';
import { seatName } from '../../src/market/residuals.js';
import { drawnSegmentOf, drawnSegment } from '../../src/market/spot-rules.js';
import { owedMsat, paidMsat } from '../../src/market/state.js';
import type { ContentOf } from '../../src/protocol/events.js';
import {
  customer,
  hashOf,
  PRICE_MSAT,
  people,
  scriptJob,
  segmentOf,
  spotTerms,
  type JobScript,
  type ScriptOptions,
} from '../support/job-script.js';

const spot = (options: ScriptOptions = {}): JobScript =>
  scriptJob({ ...options, terms: { ...spotTerms(options.rounds ?? 2), ...options.terms } });
const ruleOf = (script: JobScript) => script.state.firstBad?.rule;

/** The repetition of seat 1 ends elsewhere; `fraud` false leaves out the proof. */
function forged(round: number, says: { readonly fraud?: boolean; readonly change?: object } = {}): ScriptOptions {
  return {
    alter: {
      [`scores/${round}`]: (content: ContentOf<'scores'>) => ({
        ...content,
        scores: content.scores.map((row) =>
          row.shard === 1 ? { ...row, spot: { segment: row.spot!.segment, hash: hashOf('elsewhere') } } : row,
        ),
      }),
      [`close/${round}`]: (content: ContentOf<'close'>) => {
        const accepted = content.accepted.filter(({ shard }) => shard !== 1);
        const row = content.accepted.find(({ shard }) => shard === 1)!;
        return { ...content, accepted, rejected: [{ ...row, rule: 'spot-check', detail: '' }] };
      },
    },
    after: {
      [`scores/${round}`]: (so) => {
        if (says.fraud === false) return;
        const scores = so.at(`scores/${round}`, 'scores');
        const { trainer, shard, submission, spot: row } = scores.content.scores[1]!;
        const { checkpoints, updateHash } = so.at(`reveal/${round}/1`, 'reveal').content;
        so.say(customer, 'fraud', 'fraud', {
          ...{ round, shard, trainer, submission, scores: scores.id, segment: row!.segment },
          committed: [...checkpoints, updateHash][row!.segment]!,
          repeated: row!.hash,
          ...says.change,
        });
      },
    },
  };
}

describe('a job with spot checks', () => {
  it('goes to its end when every repetition ends in what was committed', () => {
    expect(spot().state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(spot().state.frauds.size).toBe(0);
  });

  it('draws the segment that the page of the protocol says', () => {
    const script = spot({ rounds: 1 });
    for (const { who, shard } of script.seats) {
      const [round] = script.state.rounds;
      expect(drawnSegmentOf(script.state, round!, { trainer: who.pubkey, shard }, 3), `shard ${shard}`).toBe(
        segmentOf(script, 0, who.pubkey),
      );
    }
  });

  it('draws the seats of one trainer apart where it may have several, and alike where it has one', () => {
    const script = spot({ rounds: 1 });
    const { spot: terms } = script.at('job', 'job').content;
    const of = {
      job: script.jobId,
      terms: terms!,
      draw: script.at('draw/0', 'draw'),
      nonces: [],
      proven: new Set<string>(),
    };
    const trainer = people[0]!.pubkey;
    const segments = (isBySeat: boolean) =>
      Array.from({ length: 1_000 }, (_, shard) => drawnSegment({ ...of, isBySeat }, { trainer, shard }, 4));
    expect(new Set(segments(false)).size).toBe(1);
    const bySeat = segments(true);
    for (const segment of [0, 1, 2, 3]) expect(bySeat.filter((one) => one === segment).length).toBeGreaterThan(150);
  });

  it('draws who has no accepted update always, others about as often as the rate says, every segment alike', () => {
    const script = spot({ rounds: 1 });
    const draw = script.at('draw/0', 'draw');
    const one = (i: number) => sha256(`key ${i}`).reduce((hex, byte) => hex + byte.toString(16).padStart(2, '0'), '');
    const keys = Array.from({ length: 4_000 }, (_, i) => one(i) as (typeof people)[number]['pubkey']);
    const of = (ratePpm: number, proven: ReadonlySet<string>) => {
      const terms = { ...script.at('job', 'job').content.spot!, ratePpm };
      const found = keys.map((key) =>
        drawnSegment(
          { job: script.jobId, terms, isBySeat: false, draw, nonces: [], proven },
          { trainer: key, shard: 0 },
          8,
        ),
      );
      return found.filter((segment) => segment !== null);
    };
    expect(of(0, new Set()).length).toBe(4_000);
    const seats = keys.map((trainer) => seatName({ trainer, shard: 0 }));
    expect(of(0, new Set(seats)).length).toBe(0);
    expect(of(1_000_000, new Set(seats)).length).toBe(4_000);
    const third = of(333_333, new Set(seats));
    expect(Math.abs(third.length / 4_000 - 1 / 3)).toBeLessThan(0.03);
    const counts = Array.from({ length: 8 }, (_, segment) => third.filter((value) => value === segment).length);
    for (const count of counts) expect(Math.abs(count / third.length - 1 / 8)).toBeLessThan(0.04);
  });

  it('takes bids on the engine that repeats only', () => {
    const script = spot({ until: 'bid/2' });
    const bids = script.state.bids.map((bid, i) =>
      i === 0 ? { ...bid, content: { ...bid.content, engine: 'wasm/00000000/4.22.0/x64' as never } } : bid,
    );
    const { considered } = runAuction({
      ...{ terms: script.at('job', 'job').content, customer: customer.pubkey, bids },
      ...{ standing: new Map(), blocked: new Set<never>(), atSec: 0 },
    });
    expect(considered.map(({ rule }) => rule)).toEqual([undefined, undefined, 'engine-not-accepted']);
  });
});

describe('what breaks the rules of a spot check', () => {
  it.each<[string, string, ScriptOptions]>([
    [
      'an s that is not of the chain',
      'draw',
      { alter: { 'draw/0': (draw: ContentOf<'draw'>) => ({ ...draw, s: sha256('x') }) } },
    ],
    [
      'the s of another round',
      'draw',
      { alter: { 'draw/0': (draw: ContentOf<'draw'>) => ({ ...draw, s: sha256('chain secret') }) } },
    ],
    [
      'a draw that cites another list',
      'draw',
      { alter: { 'draw/0': (draw: ContentOf<'draw'>, so: JobScript) => ({ ...draw, list: so.raw('open/0').id }) } },
    ],
    [
      'a second draw',
      'draw',
      { after: { 'draw/0': (so) => so.say(customer, 'draw', 'again', so.at('draw/0', 'draw').content) } },
    ],
    ['no draw before the list of reveals', 'list', { alter: { 'draw/0': () => null }, until: 'reveals/0' }],
    [
      'a drawn segment that is not repeated',
      'scores',
      {
        alter: {
          'scores/0': (content: ContentOf<'scores'>) => ({
            ...content,
            scores: content.scores.map((row) => ({ ...row, spot: null })),
          }),
        },
      },
    ],
    [
      'another segment than the drawn one, repeated without a difference',
      'scores',
      {
        alter: {
          'scores/0': (content: ContentOf<'scores'>, so: JobScript) => ({
            ...content,
            scores: content.scores.map((row) => {
              const segment = (row.spot!.segment + 1) % 4;
              const { checkpoints, updateHash } = so.at(`reveal/0/${row.shard}`, 'reveal').content;
              return { ...row, spot: { segment, hash: [...checkpoints, updateHash][segment] } };
            }),
          }),
        },
      },
    ],
    [
      'a segment that the training does not have',
      'scores',
      {
        alter: {
          'scores/0': (content: ContentOf<'scores'>) => ({
            ...content,
            scores: content.scores.map((row) => ({ ...row, spot: { segment: 4, hash: hashOf('x') } })),
          }),
        },
      },
    ],
    ['a rejection whose proof is not published', 'close', forged(0, { fraud: false })],
    ['a proof that says another hash than the scores', 'fraud', forged(0, { change: { repeated: hashOf('y') } })],
    ['a proof of another segment', 'fraud', forged(0, { change: { segment: 9 } })],
    [
      'a proof without a difference',
      'fraud',
      {
        after: {
          'scores/0': (so) => {
            const scores = so.at('scores/0', 'scores');
            const { trainer, shard, submission, spot: row } = scores.content.scores[0]!;
            const same = row!.hash;
            so.say(customer, 'fraud', 'fraud', {
              ...{ round: 0, shard, trainer, submission, scores: scores.id, segment: row!.segment },
              ...{ committed: same, repeated: same },
            });
          },
        },
      },
    ],
    [
      'a proof in a round that has no scores yet',
      'fraud',
      {
        after: {
          'reveals/0': (so) => {
            const reveal = so.at('reveal/0/0', 'reveal');
            so.say(customer, 'fraud', 'fraud', {
              ...{ round: 0, shard: 0, trainer: reveal.author, submission: reveal.id, scores: reveal.id, segment: 0 },
              ...{ committed: hashOf('a'), repeated: hashOf('b') },
            });
          },
        },
      },
    ],
    ['a proven fraud that keeps its seat', 'open', forged(0)],
  ])('%s: %s', (_, rule, options) => {
    expect(ruleOf(spot(options))).toBe(rule);
  });

  it('a draw, or a repetition, in a job without spot checks', () => {
    const drawn = scriptJob({ until: 'commits/0' });
    drawn.say(customer, 'draw', 'draw', { round: 0, list: drawn.raw('commits/0').id, s: sha256('s') });
    expect(ruleOf(drawn)).toBe('draw');
    const repeated = scriptJob({
      alter: {
        'scores/0': (content: ContentOf<'scores'>) => ({
          ...content,
          scores: content.scores.map((row) => ({ ...row, spot: { segment: 0, hash: hashOf('x') } })),
        }),
      },
    });
    expect(ruleOf(repeated)).toBe('scores');
  });
});

describe('a proven fraud', () => {
  const script = spot({
    rounds: 1,
    ...forged(0),
  });
  const [, cheat] = people;

  it('is rejected, named with its proof, and the others are paid', () => {
    const { state } = script;
    expect(state.firstBad).toBeNull();
    expect(state.frauds.get(cheat!.pubkey)?.content).toMatchObject({
      round: 0,
      shard: 1,
      repeated: hashOf('elsewhere'),
    });
    expect(state.rounds[0]!.close!.content.rejected).toMatchObject([{ trainer: cheat!.pubkey, rule: 'spot-check' }]);
    expect(paidMsat(state, people[0]!.pubkey)).toBe(PRICE_MSAT);
    expect([paidMsat(state, cheat!.pubkey), owedMsat(state, cheat!.pubkey)]).toEqual([0n, 0n]);
  });

  it('is owed nothing any more of an earlier round that was not paid; what was paid stays paid', () => {
    // Round 0 of seat 1 is settled and claimed, not paid; seat 1 is replaced by nobody after its fraud in round 1.
    const later = (paid: boolean) =>
      spot({
        rounds: 2,
        ...forged(1),
        alter: { ...forged(1).alter, ...(paid ? {} : { 'receipt/0/1': () => null }) },
        until: 'close/1',
      });
    expect([later(false), later(true)].map(({ state }) => state.firstBad)).toEqual([null, null]);
    expect(later(false).state.rounds[0]!.payouts.map(({ payee }) => payee)).not.toContain(cheat!.pubkey);
    expect(owedMsat(later(false).state, cheat!.pubkey)).toBe(0n);
    expect(paidMsat(later(true).state, cheat!.pubkey)).toBe(PRICE_MSAT);
  });

  it('loses its seat to a spare before the next round', () => {
    const two = spot({ rounds: 2, spares: 1, ...forged(0), until: 'settlement/0' });
    const spare = people[3]!;
    const bid = two.at('bid/3', 'bid');
    two.say(customer, 'replace', 'replace', {
      ...{ shard: 1, out: cheat!.pubkey, reason: 'fraud' },
      in: { trainer: spare.pubkey, bid: bid.id, priceMsat: PRICE_MSAT, grant: hashOf('grant') },
    });
    expect(two.state.firstBad).toBeNull();
    expect(two.state.assignments.get(1)!.trainer).toBe(spare.pubkey);
  });
});
