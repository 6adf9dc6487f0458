import { labelContext } from '../blob/keys.js';
import { fetchSealedChunks, openSealedChunks } from '../blob/sealed-chunks.js';
import type { Sha256 } from '../hash.js';
import { maxUpdateBytes } from '../learning/codec/codec.js';
import type { ParamSet } from '../learning/types.js';
import { boughtIn, saleOf } from '../market/sale-rules.js';
import { quorumOf, type AnyPayout, type JobState, type RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { judgeSale, offerChecks, type SaleCheck } from '../protocol/sale.js';
import type { SealedSale } from '../protocol/submission.js';
import type { CustomerEnv } from './customer-env.js';
import { closeRound, measuredModel, voidRound } from './close-round.js';
import { keepModel, keepOuterState, loadModel, makeNext } from './customer-models.js';
import { openedFile, openSealedSale } from './measure.js';
import { isOwnTrouble } from './patience.js';
import { updateLabel } from './round-blobs.js';
import { chunkIdsOf, preimageFor, updateKeysOf } from './sold-keys.js';

/** The customer on rail `key-sale`: validators score for it, it pays for what they accept, and opens that only then. */

/** By the validators' scores; the model stays until updates are sold. */
export async function closeForSale(env: CustomerEnv, state: JobState, round: RoundState): Promise<void> {
  const { verdict } = round;
  if (verdict === null) return voidRound(env, round.round);
  const { sha256: hash } = round.open.content.base;
  const base = await loadModel(env, state, hash);
  await closeRound(env, state, round, { verdict, findings: new Map(), base }, async () => ({ params: base, hash }));
}

/** What a payment for a key needs to be true before it is sent. */
export interface Offer {
  readonly paymentHash: Sha256;
  readonly checks: readonly SaleCheck[];
}

/** Looks at what a trainer offers for a payout; null: the payout pays for no key. */
export async function offerFor(
  env: Pick<CustomerEnv, 'signer' | 'relays' | 'files' | 'signal'>,
  job: EventOf<'job'>,
  round: RoundState,
  payout: AnyPayout,
): Promise<Offer | null> {
  const sale = saleOf(job.content, round, payout);
  const reveal = [...round.listedReveals.values()].find(({ author }) => author === payout.payee);
  if (sale === null || reveal === undefined) return null;
  try {
    const sealed = await openSealedSale(env.signer, reveal);
    const checks = offerChecks(sale, sealed);
    const isAsSigned = checks.every(({ ok }) => ok);
    return {
      paymentHash: sale.paymentHash,
      checks: isAsSigned ? [...checks, await keepSealed(env, reveal, sealed)] : checks,
    };
  } catch (error) {
    if (isOwnTrouble(error)) throw error;
    const detail = (error as Error).message.split('\n')[0]!.slice(0, 200);
    return { paymentHash: sale.paymentHash, checks: [{ what: 'what it sealed opens', ok: false, detail }] };
  }
}

const sealedFile = ({ content }: EventOf<'reveal'>) => `sealed-${content.updateHash}.bin`;

/** Fetches the sealed update before its key is paid for: what nobody has any more, no key opens. */
async function keepSealed(
  { relays, files, signal }: Pick<CustomerEnv, 'relays' | 'files' | 'signal'>,
  reveal: EventOf<'reveal'>,
  sealed: SealedSale,
): Promise<SaleCheck> {
  const what = 'the sealed update is here';
  const ids = chunkIdsOf(sealed);
  if (sealed.pointer.chunks === 0 || ids === null || (await files.read(sealedFile(reveal))) !== undefined)
    return { what, ok: true, detail: ids === null ? 'too large: it stays with its relays' : 'whole' };
  try {
    const bytes = await fetchSealedChunks(relays, sealed.pointer, ids, { ...placeOf(reveal), signal });
    await files.write(sealedFile(reveal), bytes);
    return { what, ok: true, detail: `${bytes.length} bytes` };
  } catch (error) {
    if (isOwnTrouble(error)) throw error;
    return { what, ok: false, detail: (error as Error).message };
  }
}

function placeOf({ job, author, content }: EventOf<'reveal'>) {
  return { context: labelContext(updateLabel(job, content.round, content.shard, author)), part: 0 };
}

/** What was bought opens without its relays. */
async function openKept(env: CustomerEnv, round: RoundState, reveal: EventOf<'reveal'>, base: ParamSet): Promise<void> {
  const { job, files } = { job: env.book.state().job!, files: env.files };
  const sealed = await files.read(sealedFile(reveal));
  if (sealed === undefined || (await files.read(openedFile(reveal))) !== undefined) return;
  const { key, pointer } = await updateKeysOf(env, job, round)(reveal);
  const maxBytes = maxUpdateBytes(job.content.codec, base);
  await files.write(openedFile(reveal), openSealedChunks(sealed, pointer, { ...placeOf(reveal), key, maxBytes }));
}

/** Proves what was sold wrong, makes the model of what was sold right, and ends the sale. */
export async function endSale(env: CustomerEnv, round: RoundState): Promise<void> {
  for (const { submission, trainer, shard } of round.close!.content.accepted) {
    const reveal = round.listedReveals.get(shard)!;
    const preimage = preimageFor(round, reveal);
    if (preimage === null || env.book.state().keyFrauds.has(trainer)) continue;
    const { z, wrapped } = await openSealedSale(env.signer, reveal);
    if (judgeSale(reveal.content.sale!, reveal.job, { preimage, z, wrapped }) !== 'fraud') continue;
    env.progress.warn(`round ${round.round + 1}: ${trainer.slice(0, 12)}… sold a key that is not the one it signed`);
    await env.book.sign('key-fraud', { round: round.round, shard, trainer, submission, preimage, z, wrapped }, [
      trainer,
    ]);
  }
  const state = env.book.state();
  const job = state.job!.content;
  const receipts = new Set(round.payouts.filter(({ receipt }) => receipt !== null).map(({ payout }) => payout));
  const sold = boughtIn({ ...round, receipts }, state.keyFrauds);
  const base = await loadModel(env, state, round.open.content.base.sha256);
  for (const { shard } of sold) await openKept(env, round, round.listedReveals.get(shard)!, base);
  const isCounted = sold.length >= quorumOf(job, round);
  const next = isCounted ? await makeNext(env, state, round, base, sold) : null;
  if (next !== null) {
    await keepModel(env, next.params);
    await keepOuterState(env, next);
  } else
    env.progress.warn(
      `round ${round.round + 1}: ${sold.length} updates are sold, fewer than the quorum: the model stays`,
    );
  const { sha256: hash } = round.open.content.base;
  await env.book.sign(
    'sold',
    {
      ...{ round: round.round, settlement: round.settlement!.id, sold: [...sold] },
      ...(await measuredModel(env, state, next ?? { params: base, hash })),
    },
    round.assigned.map((seat) => seat.trainer),
  );
}
