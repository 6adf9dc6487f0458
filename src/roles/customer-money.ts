import { NmktError } from '../errors.js';
import type { Sha256 } from '../hash.js';
import { planOf } from '../market/money-rules.js';
import type { JobState, RoundState } from '../market/state.js';
import { sealedClaim } from '../protocol/claim.js';
import { parseJson } from '../protocol/json.js';
import { claimHash } from '../protocol/settlement.js';
import type { CustomerEnv, HoldCause } from './customer-env.js';
import { isOwnTrouble } from './patience.js';

export interface Hold {
  readonly why: string;
  readonly cause: HoldCause;
}

export async function settle(env: CustomerEnv, state: JobState, round: RoundState): Promise<void> {
  const { plan, totalMsat } = planOf(state.jobId, round.round, round.close!, round.assigned);
  await env.book.sign(
    'settlement',
    { round: round.round, close: round.close!.id, plan: [...plan], totalMsat },
    plan.map((line) => line.payee),
  );
}

/** @returns why and how the payout is held, or null when it is paid and receipted */
export async function payOne(
  env: CustomerEnv,
  state: JobState,
  round: RoundState,
  payout: RoundState['payouts'][number],
): Promise<Hold | null> {
  if (env.payer === null)
    throw new NmktError('no-wallet', 'this job pays and no wallet is set', {
      remedy: 'set NMKT_WALLET or --wallet-file',
    });
  const claim = payout.claim!;
  const invoice = await invoiceIn(env, claim);
  if (invoice === null) return { why: 'its claim holds no readable invoice', cause: 'invoice' };
  const claimed: string[] = [];
  for (const event of state.chains.get(payout.payee)?.events ?? [])
    if (event.type === 'claim' && event.content.payout === payout.payout)
      claimed.push((await invoiceIn(env, event)) ?? invoice);
  const settlement = round.settlement!;
  const { payout: payoutId, payee, amountMsat } = payout;
  const result = await env.payer.pay({
    job: state.jobId,
    round,
    payout,
    invoice,
    claimed,
    descriptionHash: claimHash({ job: state.jobId, settlement: settlement.id, payout: payoutId, payee, amountMsat }),
    planHash: settlement.contentHash,
  });
  if (result.kind === 'held') return result;
  await env.book.sign(
    'receipt',
    {
      settlement: settlement.id,
      payout: payoutId,
      claim: claim.id,
      payee,
      amountMsat,
      invoice: result.invoice,
      paymentHash: result.paymentHash as Sha256,
      preimage: result.preimage as Sha256,
    },
    [payee],
  );
  return null;
}

async function invoiceIn(
  { signer }: CustomerEnv,
  { author, content }: NonNullable<RoundState['payouts'][number]['claim']>,
): Promise<string | null> {
  try {
    return sealedClaim.parse(parseJson(await signer.decrypt(author, content.sealed))).invoice;
  } catch (error) {
    if (isOwnTrouble(error)) throw error;
    return null;
  }
}
