import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/hash.js';
import { arenaPlan, ranksOf } from '../../../src/market/arena/rank-rules.js';
import { leaderboards } from '../../../src/market/arena/leaderboard.js';
import { aliasRoot, type AliasEntry } from '../../../src/protocol/arena/alias.js';
import { arenaScoreCommitment } from '../../../src/protocol/arena/scores.js';
import type { ContentOf } from '../../../src/protocol/events.js';
import { claimHash } from '../../../src/protocol/settlement.js';
import { arenaNotices, auditArenaPublic } from '../../../src/roles/arena/audit-public.js';
import type { DecodeInvoice } from '../../../src/roles/audit-public.js';
import { ask, invoiceOf, pay } from '../../support/arena-money.js';
import { ARENA_TERMS, scriptArena, type ArenaOptions, type ArenaScript } from '../../support/arena-script.js';
import { ENGINE, hashOf, people, SNAPSHOTS, START_SEC } from '../../support/job-contents.js';

/** A customer that signs what does not follow, in a chain without a gap; everybody else then acts on what it signed. */

/** Stages end before the script's first list. */
const arena = { interimUntil: START_SEC + 1, finalUntil: START_SEC + 2 };
type Alter = NonNullable<ArenaOptions['alter']>;
const played = (alter: Alter = {}): ArenaScript => scriptArena({ arena, alter });
const snapshots = new Map(SNAPSHOTS.map((event) => [event.id, event]));
const facts = { snapshots, decode: () => null, nowSec: START_SEC + 30 * 86_400 };
const audit = (script: ArenaScript, change: Partial<typeof facts> = {}) =>
  auditArenaPublic(script.folded, { ...facts, ...change });

/** Each trainer gets the model of the next one, in what the root promises and in the table. */
function swapped(entries: readonly AliasEntry[]): AliasEntry[] {
  const next = (i: number) => entries[(i + 1) % entries.length]!;
  return entries.map(({ submission }, i) => ({ submission, model: next(i).model, salt: next(i).salt }));
}
const honest = played();
const tableOf = (script: ArenaScript) => script.at('table/0', 'alias-table').content;
const salt = sha256('another salt');

/** The first validator with a seat scores the final set, or other aliases, and commits to that. */
function scoring(change: (of: ContentOf<'arena-scores'>) => Partial<ContentOf<'arena-scores'>>): Alter {
  return {
    'score-commit/0/0': (of: ContentOf<'score-commit'>, script: ArenaScript) => {
      const said = { ...honest.at('scores/0/0', 'arena-scores').content, salt };
      const { data, scores } = { ...said, ...change(said) };
      const under = { job: script.jobId, round: 0, draw: of.list, validator: people[4]!.pubkey, engine: ENGINE };
      return { ...of, commitment: arenaScoreCommitment({ ...under, data, scores, salt }) };
    },
    'scores/0/0': (of: ContentOf<'arena-scores'>) => ({ ...of, salt, ...change(of) }),
  };
}

const FINAL_SET = ARENA_TERMS.evalB.commitment;

describe('the public audit of an arena', () => {
  it('passes an honest one, at every step of it', () => {
    expect(honest.folded.phase).toBe('finished');
    expect(audit(honest)).toBeNull();
    expect(arenaNotices(honest.folded)).toEqual([]);
  });

  const attacks: [string, string, string, string, Alter][] = [
    [
      'opens another table than it had fixed before the draw',
      'table/0',
      'alias-table',
      'another table than was fixed before the draw',
      { 'table/0': (of: ContentOf<'alias-table'>) => ({ ...of, entries: swapped(of.entries) }) },
    ],
    [
      'gives a trainer the model of another, from the root on',
      'table/0',
      'alias-table',
      'a model that it did not submit',
      {
        'root/0': (of: ContentOf<'alias-root'>, script: ArenaScript) => {
          const { entries, salt: own } = tableOf(honest);
          const under = { job: script.jobId, stage: 0, list: of.list, entries: swapped(entries), salt: own };
          return { ...of, root: aliasRoot(under) };
        },
        'table/0': (of: ContentOf<'alias-table'>) => ({ ...of, entries: swapped(of.entries) }),
      },
    ],
    [
      'counts scores on the final set in the interim stage',
      'score-reveals/0',
      'evaluation-set',
      `${people[4]!.pubkey} are of the set ${FINAL_SET}, stage 0 is scored on set A`,
      scoring(() => ({ data: FINAL_SET })),
    ],
    [
      'counts scores of seats that were not drawn',
      'score-reveals/0',
      'seats',
      `${people[4]!.pubkey} are of aliases 0 1, its seats are 0 1 2`,
      scoring(({ scores }) => ({ scores: scores.slice(0, 2) })),
    ],
    [
      'counts a score that was changed after the others were open',
      'score-reveals/0',
      'commitment',
      `${people[4]!.pubkey} are not those that it committed to`,
      {
        'scores/0/0': (of: ContentOf<'arena-scores'>) => ({
          ...of,
          scores: of.scores.map((row) => ({ ...row, scorePpm: row.scorePpm + 1 })),
        }),
      },
    ],
    [
      'draws with a secret of its choice',
      'draw/0',
      'draw',
      's is not element 0 of the chain that the job committed to',
      { 'draw/0': (of: ContentOf<'draw'>) => ({ ...of, s: sha256('a better draw') }) },
    ],
    [
      'draws with a nonce that its validator chose afterwards',
      'draw/0',
      'draw',
      'is no nonce that a validator of the root committed to',
      { 'nonce/0/0': (of: ContentOf<'nonce'>) => ({ ...of, nonce: sha256('a better nonce') }) },
    ],
    [
      'draws without a nonce that it saw',
      'draw/0',
      'omission',
      'was seen and is left out',
      { 'draw/0': (of: ContentOf<'draw'>) => ({ ...of, nonces: of.nonces!.slice(1) }) },
    ],
    [
      'leaves out a submission that it saw',
      'list/0',
      'omission',
      `of ${people[1]!.pubkey} was seen and is not listed`,
      { 'list/0': (of: ContentOf<'arena-list'>) => ({ ...of, ids: of.ids.filter((_, i) => i !== 1) }) },
    ],
    [
      'leaves out scores that it saw',
      'score-reveals/0',
      'omission',
      'was seen and is left out',
      { 'score-reveals/0': (of: ContentOf<'list'>) => ({ ...of, ids: of.ids.slice(1) }) },
    ],
    [
      'ranks the second first',
      'ranking/0',
      'ranking',
      'rank 0 must be',
      { 'ranking/0': (of: ContentOf<'ranking'>) => ({ ...of, ranks: [...of.ranks].reverse() }) },
    ],
    [
      'pays one a msat more and another one less',
      'settlement/0',
      'settlement',
      'line 0 must be 45714 msat',
      {
        'settlement/0': (of: ContentOf<'arena-settlement'>) => ({
          ...of,
          plan: of.plan.map((line, i) => ({ ...line, amountMsat: line.amountMsat + ([1n, -1n][i] ?? 0n) })),
        }),
      },
    ],
  ];
  it.each(attacks)('names a customer that %s', (_, step, rule, words, alter) => {
    const script = played(alter);
    const found = audit(script);
    expect(found).toMatchObject({ event: script.raw(step).id, rule });
    expect(found!.detail).toContain(words);
  });

  it('names a stage that was listed before its time', () => {
    const script = scriptArena({ arena: { ...arena, finalUntil: START_SEC + 43_200 } });
    expect(audit(script)).toMatchObject({ event: script.raw('list/1').id, rule: 'deadline' });
  });

  it('names a draw before its time, and to whom it gave none', () => {
    const script = played({ 'nonce/0/2': () => null });
    const detail = `drawn before its time, without the nonce of ${people[6]!.pubkey}`;
    expect(audit(script)).toEqual({ event: script.raw('draw/0').id, rule: 'deadline', detail });
  });

  it('names a set that no relay has, and one that is not the customer’s', () => {
    const [, setA, setB] = SNAPSHOTS;
    const without = new Map([...snapshots].filter(([id]) => id !== setA.id));
    expect(audit(honest, { snapshots: without })).toMatchObject({ event: setA.id, rule: 'missing' });
    const other = new Map([...snapshots, [setA.id, { ...setB, id: setA.id }]]);
    expect(audit(honest, { snapshots: other })).toMatchObject({ event: setA.id, rule: 'dataset' });
  });

  it('says of a model that it was not opened by the word of the customer alone', () => {
    const shut = (entries: readonly AliasEntry[]) =>
      entries.map((entry, i) => (i === 0 ? { ...entry, model: null, salt: null } : entry));
    const script = played({
      'root/0': (of: ContentOf<'alias-root'>, so: ArenaScript) => {
        const { entries, salt: own } = tableOf(honest);
        return {
          ...of,
          root: aliasRoot({ job: so.jobId, stage: 0, list: of.list, entries: shut(entries), salt: own }),
        };
      },
      'table/0': (of: ContentOf<'alias-table'>) => ({ ...of, entries: shut(of.entries) }),
    });
    expect(audit(script)).toBeNull();
    const { trainer } = leaderboards(script.state)[0]!.rows.find(({ noRank }) => noRank === 'unopened')!;
    expect(arenaNotices(script.folded)).toMatchObject([{ stage: 0, rule: 'unopened', trainer }]);
  });
});

describe('payments of an arena', () => {
  const payee = people[0]!;
  /** The interim stage settled, claimed, and paid unless `change` is null. */
  const paid = (change: Partial<ContentOf<'receipt'>> | null) => {
    const script = played({ 'list/1': () => null });
    const claim = ask(script, payee, script.at('settlement/0', 'arena-settlement').id);
    const receipt = change === null ? null : pay(script, claim, change);
    return { script, claim, receipt };
  };
  const invoice = ({ script, claim, receipt }: ReturnType<typeof paid>, change: object = {}): DecodeInvoice => {
    const { settlement, payout, amountMsat } = claim.content;
    const descriptionHash = claimHash({ job: script.jobId, settlement, payout, payee: payee.pubkey, amountMsat });
    const paymentHash = receipt?.content.paymentHash ?? hashOf('none');
    const terms = { prefix: 'bcrt', timestampSec: START_SEC, expirySec: 30 * 86_400, minFinalCltv: 18 };
    return (text) =>
      text === invoiceOf('ask') ? { ...terms, msat: amountMsat, paymentHash, descriptionHash, ...change } : null;
  };

  it('pass with the receipt of the invoice that was asked', () => {
    const one = paid({});
    expect(audit(one.script, { decode: invoice(one) as never })).toBeNull();
  });

  it('name a claim that nobody paid in time, and not before', () => {
    const { script, claim } = paid(null);
    expect(audit(script)).toMatchObject({ event: claim.id, rule: 'unpaid' });
    expect(audit(script, { nowSec: claim.createdAt + 600 })).toBeNull();
  });

  it('are owed by a customer that fell silent when it had told the names, and that a validator settled for', () => {
    const script = played({ 'ranking/0': () => null });
    const ranks = [...ranksOf(script.stage, 3)];
    const table = script.stage.table!.id;
    const ranking = script.say(people[5]!, 'ranking', 'ranking/by', { stage: 0, table, ranks })!.id;
    const { plan, totalMsat } = arenaPlan(script.state, { ...script.stage, ranks });
    const settled = { stage: 0, ranking, plan: [...plan], totalMsat };
    const { id } = script.say(people[5]!, 'arena-settlement', 'settlement/by', settled)!;
    expect(audit(script)).toBeNull();
    const claim = ask(script, payee, id);
    expect(audit(script)).toMatchObject({ event: claim.id, rule: 'unpaid' });
  });

  it.each<[string, Partial<ContentOf<'receipt'>>, string]>([
    ['of another payee', { payee: people[1]!.pubkey }, 'no settlement promises this payout'],
    ['of a smaller amount', { amountMsat: 45_713n }, '45714 msat are owed, 45713 receipted'],
    ['without a payment', { preimage: hashOf('nothing') }, 'the preimage does not hash to the payment hash'],
  ])('name a receipt %s', (_, change, detail) => {
    const { script, receipt } = paid(change);
    expect(audit(script)).toEqual({ event: receipt!.id, rule: 'receipt', detail });
  });

  it.each<[string, object, string]>([
    ['pays less', { msat: 1_000n }, 'its invoice is over 1000 msat, owed were 45714'],
    ['is of another claim', { descriptionHash: hashOf('another') }, 'its invoice does not name this claim'],
    ['is of another network', { prefix: 'bc' }, 'its invoice is of lnbc, the job pays on sandbox'],
  ])('name a receipt whose invoice %s', (_, change, detail) => {
    const one = paid({});
    const found = audit(one.script, { decode: invoice(one, change) as never });
    expect(found).toEqual({ event: one.receipt!.id, rule: 'receipt', detail });
  });
});
