import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { invoiceHash } from '../../src/protocol/claim.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { auditAlliancePublic } from '../../src/roles/alliance/audit-public.js';
import { invoiceOf } from '../support/arena-money.js';
import { scriptAlliance, type AllianceScript } from '../support/alliance-script.js';
import { customer, hashOf, people } from '../support/job-contents.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

/** From a file alone, without settings and relays. */
async function audit({ events, jobId }: AllianceScript, ...words: string[]) {
  const file = join(temporaryFolder(), 'alliance.ndjson');
  writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  return runNmkt(['audit', jobId, '--from-dump', file, ...words]);
}

describe('nmkt audit of an alliance', () => {
  it('passes an honest one', async () => {
    const script = scriptAlliance();
    const { status, stdout } = await audit(script, '--json');
    expect([status, JSON.parse(stdout)]).toMatchObject([
      0,
      { job: script.jobId, mode: 'alliance', level: 'public', verdict: 'PASS', firstBad: null, phase: 'finished' },
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ rounds: 2, accepted: 2, paidMsat: 0, events: script.events.length });
    expect((await audit(script)).stdout).toMatch(/2 rounds, 2 of them accepted, 0 sat paid\nverdict +PASS\n$/);
  });

  it('fails a customer that settles another aggregate than was voted for, with status 4 and who signed it', async () => {
    const other = (of: ContentOf<'alliance-settlement'>) => ({ ...of, aggregate: hashOf('another') });
    const script = scriptAlliance({ alter: { 'settlement/0': other } });
    const { status, stdout } = await audit(script, '--json');
    const event = script.raw('settlement/0').id;
    expect([status, JSON.parse(stdout)]).toMatchObject([
      4,
      { verdict: 'FAIL', firstBad: { event, author: customer.pubkey, rule: 'settlement' } },
    ]);
  });

  it('names a claim that nobody paid in time, and what is not at hand', () => {
    const script = scriptAlliance();
    const settlement = script.at('settlement/0', 'alliance-settlement');
    const who = people.find(({ pubkey }) => pubkey === settlement.content.plan[0]!.payee)!;
    const { payout, amountMsat } = settlement.content.plan[0]!;
    const sealed = Buffer.alloc(99, 2).toString('base64');
    const asked = { settlement: settlement.id, payout, amountMsat, invoiceHash: invoiceHash(invoiceOf('ask')), sealed };
    const claim = script.say(who, 'claim', 'claim', asked)!;
    const at = (nowSec: number) => auditAlliancePublic(script.folded, { decode: () => null, nowSec });
    expect(at(claim.createdAt + 600)).toBeNull();
    expect(at(claim.createdAt + 601)).toMatchObject({ event: claim.id, rule: 'unpaid' });
    const nothing = { ...script.folded, job: null, state: null, missing: [script.jobId] };
    const found = auditAlliancePublic(nothing, { decode: () => null, nowSec: 0 });
    expect(found).toMatchObject({ event: script.jobId, rule: 'missing' });
  });
});
