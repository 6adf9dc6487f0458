import { sha256, sha256Hex, type EventId, type Sha256 } from '../../src/hash.js';
import { settlementsOf } from '../../src/market/arena/lapse.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import type { ContentOf } from '../../src/protocol/events.js';
import type { ArenaScript } from './arena-script.js';
import { customer, hashOf, type Person } from './job-contents.js';

/** Claims and receipts of a scripted arena. */

export const invoiceOf = (step: string) => `lnbcrt210n1${hashOf(step)}`;

/** Of a stage that is settled. */
export function ask(script: ArenaScript, who: Person, settlement: EventId, step = 'ask', stage = 0) {
  const { payout, amountMsat } = settlementsOf(script.state.stages[stage]!)[0]!.content.plan.find(
    (line) => line.payee === who.pubkey,
  )!;
  const sealed = Buffer.alloc(99, 2).toString('base64');
  const invoice = invoiceHash(invoiceOf(step));
  return script.say(who, 'claim', step, { settlement, payout, amountMsat, invoiceHash: invoice, sealed })!;
}

/** @param step  of the claim: its invoice is paid */
export function pay(
  script: ArenaScript,
  claim: NonNullable<ReturnType<typeof ask>>,
  change: Partial<ContentOf<'receipt'>> = {},
  step = 'ask',
) {
  const { settlement, payout, amountMsat } = claim.content;
  const preimage = sha256(`preimage ${claim.id}`);
  return script.say(customer, 'receipt', `receipt/${claim.id}`, {
    ...{ settlement, payout, claim: claim.id, payee: claim.author, amountMsat, invoice: invoiceOf(step) },
    ...{ paymentHash: sha256Hex(preimage), preimage: Buffer.from(preimage).toString('hex') as Sha256, ...change },
  })!;
}
