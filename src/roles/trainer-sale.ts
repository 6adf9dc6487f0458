import { z } from 'zod';
import { hex, hkdfExpand32, sha256Hex, u32be, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { SALE_CLTV, saleOf } from '../market/sale-rules.js';
import { scorersOf } from '../market/score-rules.js';
import type { AnyPayout, JobState, RoundState } from '../market/state.js';
import { encodeGrant } from '../protocol/grant.js';
import type { EventOf } from '../protocol/events.js';
import { ciphertextHash, saleKeyHash, saleZHash, wrapKey, wrappedHash } from '../protocol/sale.js';
import { sealedSale, type SaleHashes, type SealedSale } from '../protocol/submission.js';
import type { InvoiceRequest } from '../ports.js';
import { sendEach, type SentGrant } from './customer-grants.js';
import { openSealedSale } from './measure.js';
import type { PayeeRail } from './payee-rail.js';
import { spellChunks, withKey } from './sold-keys.js';
import type { TrainerEnv } from './trainer.js';

/** A trainer on rail `key-sale`: it signs hashes of what it sells, gives the key to validators, and to the customer for a payment. */

/** What it sells of a round, from the secret that was durable before its commitment; each drawn from it under a name of its own. */
export interface OwnSale {
  readonly key: Uint8Array;
  readonly preimage: Uint8Array;
  readonly z: Uint8Array;
}

export function ownSale(secret: Uint8Array, round: number, key: Uint8Array): OwnSale {
  return {
    key,
    preimage: hkdfExpand32(secret, 'nmkt/1/sale/preimage', u32be(round)),
    z: hkdfExpand32(secret, 'nmkt/1/sale/z', u32be(round)),
  };
}

/** What is signed of it, and what is sealed to the customer. */
export function offerOf(
  job: EventId,
  { key, preimage, z: own }: OwnSale,
  { chunks, ...blobs }: Pick<SealedSale, 'pointer' | 'state'> & { readonly chunks: readonly EventId[] },
): { readonly sale: SaleHashes; readonly sealed: string } {
  const ciphertext = ciphertextHash(blobs.pointer);
  const wrapped = wrapKey(key, { job, ciphertext, preimage, z: own });
  return {
    sale: {
      paymentHash: sha256Hex(preimage),
      ...{ ciphertext, key: saleKeyHash(key), z: saleZHash(own), wrapped: wrappedHash(wrapped) },
    },
    sealed: JSON.stringify(z.encode(sealedSale, { z: own, wrapped, ...blobs, ...spellChunks(chunks) })),
  };
}

/** Validators that score this trainer's listed update and have not committed to their scores. */
export function waitingForKey(state: JobState, round: RoundState, me: Pubkey): readonly Pubkey[] {
  const terms = state.job!.content;
  if (terms.rail !== 'key-sale' || state.phase !== 'scoring' || round.scoreCommitList !== null) return [];
  if (![...round.listedReveals.values()].some(({ author }) => author === me)) return [];
  return scorersOf(terms, round)
    .filter(({ validator }) => !round.scoreCommits.has(validator))
    .map(({ validator }) => validator);
}

/** The grant of a key to one validator: sent once by a process. */
export const keyGrantId = (round: RoundState, to: Pubkey): string => `key ${round.open.id}/${to}`;

export async function giveKey(
  env: TrainerEnv,
  state: JobState,
  round: RoundState,
  to: Pubkey,
  key: Uint8Array,
  sent: Map<string, SentGrant>,
): Promise<void> {
  const reveal = ownReveal(round, env.signer.pubkey)!;
  const sealed = await openSealedSale(env.signer, reveal, state.job!.author);
  const content = encodeGrant({
    ...{ purpose: 'update', job: state.jobId, submission: reveal.id, notAfter: state.job!.content.deadline },
    update: withKey(sealed, key),
  });
  const { relays, progress, post } = env;
  const letter = { id: keyGrantId(round, to), to, content };
  await sendEach({ relays, progress, allowedRelay: post!.allowedRelay }, [letter], post!.wrap, sent);
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

/**
 * By hold invoices over the hash that its reveal names; what pays for no key, as on any rail.
 *
 * @param preimageOf  of a round it committed to: undefined where this home has it no more
 */
export function saleRail(
  env: Pick<TrainerEnv, 'wallet' | 'files' | 'progress'>,
  state: () => JobState,
  preimageOf: (round: RoundState) => Promise<Uint8Array | undefined>,
): PayeeRail {
  const wallet = env.wallet!;
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
      const preimage = await preimageOf(sold.round);
      if (preimage === undefined)
        return { why: 'a payment waits for a preimage that only the home that committed has', waitSec: 60 };
      env.progress.note(
        `round ${sold.round.round + 1}, before the key is given: ${payout.amountMsat / 1000n} sat wait at its hash: yes`,
      );
      await wallet.settleHold(hex(preimage));
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

/** A round whose sale ended without this trainer's accepted update. */
export function unsoldRound(
  state: JobState,
  me: Pubkey,
  isEnded: (round: RoundState) => boolean,
): RoundState | undefined {
  return state.rounds.find((round) => isUnsold(round, me) && !isEnded(round));
}

function isUnsold({ close, sold, payouts }: RoundState, me: Pubkey): boolean {
  if (sold === null || !close!.content.accepted.some(({ trainer }) => trainer === me)) return false;
  const isPaid = payouts.some(
    ({ payee, purpose, receipt }) => payee === me && purpose === 'trainer' && receipt !== null,
  );
  return !isPaid;
}

/** An offer that the customer neither took nor refused before it ended the sale: its trainer trains for it no more. */
export function spurnedRound(state: JobState, me: Pubkey): RoundState | undefined {
  const claims = (state.chains.get(me)?.events ?? []).filter((event) => event.type === 'claim');
  const refused = new Set(
    (state.chains.get(state.job!.author)?.events ?? []).map(
      (event) => event.type === 'claim-bad' && event.content.claim,
    ),
  );
  return state.rounds.find(
    (round) =>
      isUnsold(round, me) &&
      claims.some(({ id, content }) => content.settlement === round.settlement?.id && !refused.has(id)),
  );
}

/** Nobody may pay for it any more; a payment that waits all the same is taken, for it gives the key. */
export async function endSale(
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
