import { isNmktError, NmktError } from '../errors.js';
import { fromHex, sha256Hex, type Pubkey, type Sha256 } from '../hash.js';
import type { AnyJobState, AnyPayout, Assignment, JobState, Owed } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { ShardGrant } from '../protocol/grant.js';
import { invoiceHash, sealedClaim } from '../protocol/claim.js';
import { claimHash } from '../protocol/settlement.js';
import type { Received } from './inbox.js';
import type { JobBook } from './job-book.js';
import { measureThroughput } from './throughput.js';
import type { TrainerEnv } from './trainer.js';
import { INVOICE_EXPIRY_SEC } from './worker-decide.js';
import { openedShard } from './trainer-grant.js';
import type { PayeeRail } from './payee-rail.js';
import { quoteText } from './price-policy.js';
import { sealBid } from './sealed-bids.js';
import { lockFor } from './stake.js';

/** What a trainer carries out: each signs at most one event, after everything it needs is durable. */

/** What a bid needs: the `bid` command makes one without serving the job. */
export interface BidEnv extends Pick<TrainerEnv, 'book' | 'engine' | 'signer' | 'random'> {
  readonly terms: Pick<TrainerEnv['terms'], 'priceMsat' | 'shards'>;
  readonly quote?: TrainerEnv['quote'];
  readonly emit?: TrainerEnv['emit'];
  readonly stake?: TrainerEnv['stake'];
}

/** With a stake where the job asks for one. Sealed where the job says so; after its award nobody is left to hide from. */
export async function bid(env: BidEnv): Promise<void> {
  const engine = await env.engine();
  const { job, phase } = env.book.state();
  const throughput = await measureThroughput(engine, job!.content);
  const quote = env.quote?.();
  if (quote !== undefined) {
    const seconds = throughput === 0 ? null : Math.ceil((quote.examples * 1_000) / throughput) / 1_000;
    env.emit?.('priced', { ...quote, throughput, seconds }, quoteText(quote));
  }
  const content = {
    priceMsat: quote?.priceMsat ?? env.terms.priceMsat,
    capacity: env.terms.shards,
    engine: engine.id,
    throughput,
    expires: job!.content.deadline,
  };
  const lock = await lockFor(env.book, env.signer.pubkey, 'trainer', env.stake);
  const named = lock === undefined ? {} : { lock };
  if (job!.content.bids === 'sealed' && phase === 'awarding') {
    const sealed = await sealBid(env, env.book.state(), content);
    await env.book.sign('sealed-bid', { ...sealed, ...named }, [job!.author]);
  } else await env.book.sign('bid', { ...content, ...named }, [job!.author]);
}

/** What it takes to be paid. */
export interface PayeeEnv extends Pick<TrainerEnv, 'signer' | 'wallet' | 'paymentHashOf'> {
  readonly book: Pick<JobBook<AnyJobState>, 'sign'>;
  readonly rail?: PayeeRail;
}

type GrantRule = EventOf<'grant-bad'>['content']['rule'];

/** Opens locator, key and shard; the answer says `ready`, or which rule the grant breaks. */
export async function answerGrant(
  env: TrainerEnv,
  state: JobState,
  seat: Assignment,
  received: Received<ShardGrant>,
): Promise<void> {
  const answer = { award: seat.award, shard: seat.shard };
  try {
    env.shard.opened = null;
    await openedShard(env, state, received.grant);
  } catch (error) {
    const rule = grantRule(error);
    if (rule === null) throw error;
    await env.book.sign(
      'grant-bad',
      { ...answer, rule, detail: (error as Error).message.replace(/[^\x20-\x7e]/g, ' ').slice(0, 300) },
      [state.job!.author],
    );
    return;
  }
  await env.book.sign('ready', { ...answer, grant: seat.grant }, [state.job!.author]);
}

/** Which rule a failure breaks; null: not the customer's fault (unreachable, interrupted), try again. */
function grantRule(error: unknown): GrantRule | null {
  if (!(error instanceof NmktError)) return null;
  switch (error.code) {
    case 'wrong-key':
      return 'key';
    case 'hash-mismatch':
      return 'hash';
    case 'bad-event':
      return 'locator';
    case 'bad-blob':
    case 'too-large':
      return 'blob';
    case 'shape-mismatch':
      return 'rows';
    default:
      return null;
  }
}

function hashOfClaim(state: AnyJobState, payout: AnyPayout, payee: Pubkey) {
  return claimHash({
    job: state.jobId,
    settlement: payout.settlement.id,
    payout: payout.payout,
    payee,
    amountMsat: payout.amountMsat,
  });
}

export async function claim(env: PayeeEnv, state: AnyJobState, payout: AnyPayout): Promise<string | null> {
  if (env.wallet === null) return 'no wallet is set: the payout cannot be claimed';
  const request = {
    msat: payout.amountMsat,
    descriptionHash: hashOfClaim(state, payout, env.signer.pubkey),
    expirySec: INVOICE_EXPIRY_SEC,
  };
  const invoice = await (env.rail?.invoice(payout, request) ??
    env.wallet.makeInvoice(request).then((made) => made.invoice));
  const sealed = await env.signer.encrypt(state.job!.author, JSON.stringify({ invoice }));
  await env.book.sign(
    'claim',
    {
      settlement: payout.settlement.id,
      payout: payout.payout,
      amountMsat: payout.amountMsat,
      invoiceHash: invoiceHash(invoice),
      sealed,
    },
    [state.job!.author],
  );
  return null;
}

/**
 * Signs that a claim's invoice is unpaid and will never be: only then may the customer pay by another one. Not while the own
 * wallet has the money, or cannot say.
 */
export async function voidClaim(env: PayeeEnv, state: AnyJobState, payout: AnyPayout): Promise<string | null> {
  const { id, content } = payout.claim!;
  if (env.wallet === null) return 'no wallet is set: whether the claim was paid cannot be seen';
  const text = await env.signer.decrypt(state.job!.author, content.sealed);
  const paymentHash = env.paymentHashOf(sealedClaim.parse(JSON.parse(text)).invoice) as Sha256;
  const { state: found } = await env.wallet.lookup(paymentHash);
  if (found === 'settled') return 'the wallet has the money, the customer has published no receipt yet';
  if (found === 'unknown') return 'the wallet does not say whether the expired invoice was paid';
  await env.book.sign(
    'claim-void',
    { claim: id, payout: payout.payout, paymentHash, reason: 'the invoice has expired' },
    [state.job!.author],
  );
  return null;
}

/** Countersigns only what the own wallet confirms. */
export async function countersign(
  env: PayeeEnv,
  state: AnyJobState,
  { round }: Pick<Owed, 'round'>,
  payout: AnyPayout,
): Promise<string | null> {
  const receipt = payout.receipt!;
  if (!(await hasArrived(env, receipt.content.paymentHash)))
    return `round ${round + 1}: the customer says it paid, the wallet has not seen it yet`;
  await env.book.sign('received', { receipt: receipt.id, payout: payout.payout, amountMsat: payout.amountMsat }, [
    state.job!.author,
  ]);
  return null;
}

async function hasArrived(env: PayeeEnv, paymentHash: string): Promise<boolean> {
  if (env.wallet === null) return false;
  try {
    const found = await env.wallet.lookup(paymentHash);
    return (
      found.state === 'settled' && found.preimage !== undefined && sha256Hex(fromHex(found.preimage)) === paymentHash
    );
  } catch (error) {
    if (isNmktError(error, 'wallet-unreachable')) return false;
    throw error;
  }
}

export async function markUnpaid(env: PayeeEnv, payout: AnyPayout, isDegraded = false): Promise<void> {
  await env.book.sign('unpaid', {
    settlement: payout.settlement.id,
    payout: payout.payout,
    claim: payout.claim!.id,
    amountMsat: payout.amountMsat,
    ...(isDegraded ? { degraded: true as const } : {}),
  });
}
