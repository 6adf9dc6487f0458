import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatPubkey } from '../../src/config/identifiers.js';
import { payoutId } from '../../src/protocol/settlement.js';
import { customer, people, scriptJob } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const script = scriptJob({ trainers: 3, spares: 1, rounds: 2 });
const npub = formatPubkey(people[1]!.pubkey);
const payout = payoutId(script.jobId, 1, people[1]!.pubkey, 'trainer');

function dumped(): string {
  const file = join(temporaryFolder(), 'job.ndjson');
  writeFileSync(file, script.events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  return file;
}

async function explain<T>(...words: readonly string[]): Promise<T> {
  const { status, stdout, stderr } = await runNmkt([
    'explain',
    '--json',
    '--home',
    join(temporaryFolder(), 'h'),
    ...words,
  ]);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as T;
}

interface Cause {
  readonly what: string;
  readonly msat: number | null;
  readonly points: number;
  readonly events: readonly { readonly id: string; readonly kind: number; readonly type: string }[];
}

describe('nmkt explain', () => {
  it('traces a payout to the msat: seat, commitment, reveal, score, close, settlement, claim, receipt, countersignature', async () => {
    const told = await explain<{ amountMsat: number; causes: Cause[] }>(payout, '--from-dump', dumped());
    expect(told).toMatchObject({
      subject: 'payout',
      job: script.jobId,
      payout,
      round: 1,
      payee: people[1]!.pubkey,
      state: 'paid',
    });
    expect(told.causes.reduce((sum, { msat }) => sum + (msat ?? 0), 0)).toBe(told.amountMsat);
    const steps = [
      'award',
      'commit/1/1',
      'reveal/1/1',
      'scores/1',
      'close/1',
      'settlement/1',
      'claim/1/1',
      'receipt/1/1',
      'received/1/1',
    ];
    expect(told.causes.flatMap(({ events }) => events.map(({ id }) => id))).toEqual(
      steps.map((step) => script.raw(step).id),
    );
    expect(told.causes[0]!.events.map(({ kind, type }) => `${kind} ${type}`)).toEqual([
      '4626 award',
      '4627 commit',
      '4627 reveal',
      '4629 scores',
      '4622 close',
    ]);
  });

  it('says the same from relays, where the job of a payout is named', async () => {
    const relay = await relayWith(script.events);
    const words = [payout, '--job', script.jobId, '--relay', relay];
    expect(await explain(...words)).toEqual(await explain(payout, '--from-dump', dumped()));
    const { status, stdout } = await runNmkt([
      'explain',
      '--json',
      '--home',
      join(temporaryFolder(), 'h'),
      payout,
      '--relay',
      relay,
    ]);
    expect(status).not.toBe(0);
    expect(stdout).toContain('--job JOB');
  });

  it('gives every bid of an award its rank with the formula, and every payout', async () => {
    const told = await explain<{ award: { rank: number; what: string; events: Cause['events'] }[]; payouts: object[] }>(
      ...[script.jobId, '--from-dump', dumped()],
    );
    expect(told.award.map(({ rank, what }) => [rank, what])).toEqual(
      [1, 2, 3, 4].map((rank) => [
        rank,
        '21000 msat, 0 of 0 attempts accepted, counts as 42000 msat: price x max(1, min(2, (attempts + 2) / (successes + 1)))',
      ]),
    );
    expect(told.award[0]).toMatchObject({ outcome: 'won', shards: [0], events: [{ id: script.raw('bid/0').id }, {}] });
    expect(told.award[3]).toMatchObject({ outcome: 'spare', shards: [] });
    expect(told.payouts).toHaveLength(6);
  });

  it('splits a rating into the points of each match, which add up to it', async () => {
    interface Told {
      trainer: { rating: number; causes: Cause[] };
      customer: { causes: Cause[] };
    }
    const told = await explain<Told>(npub, '--from-dump', dumped(), '--trust', formatPubkey(customer.pubkey));
    expect(told.trainer.causes.map(({ what }) => what)).toEqual([1, 2].map((n) => `round ${n}, paid, counts in full`));
    expect(told.trainer.causes.reduce((sum, { points }) => sum + points, 0)).toBeCloseTo(told.trainer.rating, 9);
    expect(told.trainer.causes[1]!.events.map(({ id }) => id)).toEqual([
      script.raw('close/1').id,
      script.raw('receipt/1/1').id,
    ]);
    expect(told.customer.causes).toEqual([]);
    const text = await runNmkt(['explain', npub, '--from-dump', dumped(), '--home', join(temporaryFolder(), 'h')]);
    expect(text.stdout).toContain(`4622 close ${script.raw('close/0').id.slice(0, 12)}…`);
  });
});
