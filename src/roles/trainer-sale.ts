import { hex, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { SALE_CLTV, saleOf } from '../market/sale-rules.js';
import type { AnyPayout, JobState, RoundState } from '../market/state.js';
import { encodeGrant } from '../protocol/grant.js';
import type { EventOf } from '../protocol/events.js';
import type { InvoiceRequest } from '../ports.js';
import { sendEach, type SentGrant } from './customer-grants.js';
import { openSealedSale } from './measure.js';
import type { PayeeRail } from './payee-rail.js';
import { withKey } from './sold-keys.js';
import type { TrainerEnv } from './trainer.js';
import type { TrainerAction, TrainerFacts } from './trainer-decide.js';
import { soldIn } from './trainer-work.js';

/** A trainer on rail `key-sale`: it gives the key to validators, and to the customer for a payment. */

/** Until a key that no relay took, or that this home has lost, is tried again. */
const KEY_RETRY_SEC = 5;

/** What one process knows of its sales. */
export interface Seller {
  /** Null without a wallet. */
  readonly rail: PayeeRail | null;
  facts(now: number): Pick<TrainerFacts, 'collects' | 'hasGivenKey' | 'hasEndedSale'>;
  carryOut(state: JobState, action: Extract<TrainerAction, { do: 'give-key' | 'end-sale' }>): Promise<void>;
}

/** @param sent  grants of this process; changed */
export function sellerOf(env: TrainerEnv, sent: Map<string, SentGrant>): Seller {
  const triedAt = new Map<string, number>();
  const ended = new Set<EventId>();
  const idOf = ({ open }: RoundState, to: Pubkey): string => `key ${open.id}/${to}`;
  return {
    rail: env.wallet === null ? null : saleRail(env),
    facts: (now) => ({
      collects: true,
      hasGivenKey: (round, to) => {
        const id = idOf(round, to);
        return sent.get(id)?.isOnSome === true || now < (triedAt.get(id) ?? 0) + KEY_RETRY_SEC;
      },
      hasEndedSale: ({ open }) => ended.has(open.id),
    }),
    async carryOut(state, action) {
      const own = await soldIn(env, state, action.round);
      if (action.do === 'end-sale') {
        await endSale(env, action.round, own?.preimage);
        ended.add(action.round.open.id);
        return;
      }
      const id = idOf(action.round, action.to);
      const isFirst = !triedAt.has(id);
      triedAt.set(id, env.clock.nowSec());
      if (own === undefined) {
        if (isFirst)
          env.progress.warn(`round ${action.round.round + 1}: the key to its update is no longer in the home`);
        return;
      }
      await giveKey(env, state, action.round, { id, to: action.to, key: own.key }, sent);
    },
  };
}

async function giveKey(
  { signer, relays, progress, post }: TrainerEnv,
  state: JobState,
  round: RoundState,
  { id, to, key }: { readonly id: string; readonly to: Pubkey; readonly key: Uint8Array },
  sent: Map<string, SentGrant>,
): Promise<void> {
  const reveal = ownReveal(round, signer.pubkey)!;
  const { author, content: terms } = state.job!;
  const sealed = await openSealedSale(signer, reveal, author);
  const content = encodeGrant({
    ...{ purpose: 'update', job: state.jobId, submission: reveal.id, notAfter: terms.deadline },
    update: withKey(sealed, key),
  });
  await sendEach({ relays, progress, allowedRelay: post!.allowedRelay }, [{ id, to, content }], post!.wrap, sent);
}

function ownReveal({ listedReveals }: RoundState, me: Pubkey): EventOf<'reveal'> | undefined {
  return [...listedReveals.values()].find(({ author }) => author === me);
}

/** The round whose key a payout pays for; null: none, such as of a correction. */
function soldBy(state: JobState, { payout, ...line }: AnyPayout): { round: RoundState; paymentHash: Sha256 } | null {
  const round = state.rounds.find(({ payouts }) => payouts.some((one) => one.payout === payout));
  const sale = round === undefined ? null : saleOf(state.job!.content, round, line);
  return sale === null ? null : { round: round!, paymentHash: sale.paymentHash };
}

const invoiceFile = (paymentHash: Sha256) => `sale-invoice-${paymentHash}.txt`;

/** By hold invoices over the hash that its reveal names; what pays for no key, as on any rail. */
function saleRail(env: TrainerEnv): PayeeRail {
  const wallet = env.wallet!;
  const state = () => env.book.state();
  return {
    async invoice(payout, request) {
      const sold = soldBy(state(), payout);
      return sold === null ? (await wallet.makeInvoice(request)).invoice : holdInvoice(env, sold.paymentHash, request);
    },
    async collect(payout) {
      const sold = soldBy(state(), payout);
      if (sold === null) return { why: null, waitSec: 5 };
      const { state: found, held } = await wallet.lookup(sold.paymentHash);
      if (found === 'settled') return { why: null, waitSec: 5 };
      if (held === undefined) return { why: null, waitSec: 1 };
      const own = await soldIn(env, state(), sold.round);
      if (own === undefined)
        return { why: 'a payment waits for a preimage that only the home that committed has', waitSec: 60 };
      env.progress.note(
        `round ${sold.round.round + 1}, before the key is given: ${payout.amountMsat / 1000n} sat wait at its hash: yes`,
      );
      await wallet.settleHold(hex(own.preimage));
      env.progress.note(`round ${sold.round.round + 1}: the key was given for ${payout.amountMsat / 1000n} sat`);
      return { why: null, waitSec: 5 };
    },
  };
}

/** One for ever: a wallet makes no second one over the same hash, and a crash may have come between it and the claim. */
async function holdInvoice(
  { wallet, files }: Pick<TrainerEnv, 'wallet' | 'files'>,
  paymentHash: Sha256,
  request: InvoiceRequest,
): Promise<string> {
  const kept = await files.read(invoiceFile(paymentHash));
  if (kept !== undefined) return Buffer.from(kept).toString();
  const known = await wallet!.lookup(paymentHash);
  const invoice =
    (known.direction === 'in' ? known.invoice : undefined) ??
    (await wallet!.makeHoldInvoice({ ...request, paymentHash, minFinalCltv: SALE_CLTV })).invoice;
  await files.write(invoiceFile(paymentHash), Buffer.from(invoice));
  return invoice;
}

/** Nobody may pay for it any more; a payment that waits all the same is taken, for it gives the key. */
async function endSale(
  { wallet, signer }: Pick<TrainerEnv, 'wallet' | 'signer'>,
  round: RoundState,
  preimage: Uint8Array | undefined,
): Promise<void> {
  const sale = ownReveal(round, signer.pubkey)?.content.sale;
  if (wallet === null || sale === undefined) return;
  const { state, held, direction } = await wallet.lookup(sale.paymentHash);
  if (direction !== 'in' || state === 'settled' || state === 'failed') return;
  if (held !== undefined && preimage !== undefined) await wallet.settleHold(hex(preimage));
  else await wallet.cancelHold(sale.paymentHash);
}
