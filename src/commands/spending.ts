import { NmktError } from '../errors.js';
import type { JobFile } from '../roles/job-file.js';
import type { Context } from './command.js';
import type { SpendLimits } from '../wallet/spend-guard.js';
import { optionalInteger } from './customer-ports.js';

/** Sats a job may cost at most. */
export function jobCostSats(job: JobFile, shards: number): number {
  return job.rail === 'none' ? 0 : (job.budgetSats ?? job.rounds * shards * job.maxPriceSats);
}

/** What may be spent, read before anything else is done. @throws NmktError `bad-usage` */
export function maxSatsOf(options: Readonly<Record<string, unknown>>): number | undefined {
  return optionalInteger(options['maxSats'], '--max-sats', 0, 21e14);
}

/** Caps of this command and of the settings; fees count. @throws NmktError `bad-usage` */
export function limitsOf({ deps }: Context, options: Readonly<Record<string, unknown>>): SpendLimits {
  const { maxDaySats, maxPaymentSats } = deps.settings();
  const msat = (sats: number) => BigInt(sats) * 1_000n;
  const maxSats = maxSatsOf(options);
  return {
    ...(maxSats !== undefined && { commandMsat: msat(maxSats) }),
    ...(maxDaySats !== undefined && { dayMsat: msat(maxDaySats.value) }),
    ...(maxPaymentSats !== undefined && { paymentMsat: msat(maxPaymentSats.value) }),
  };
}

/**
 * Before a job is posted: within --max-sats, a wallet where it pays, and on mainnet an explicit yes.
 * @throws NmktError `over-budget`, `no-wallet`, `mainnet-not-confirmed`
 */
export async function confirmJob(
  context: Context,
  options: Readonly<Record<string, unknown>>,
  job: JobFile,
  shards: number,
): Promise<void> {
  const sats = jobCostSats(job, shards);
  const maxSats = maxSatsOf(options);
  if (sats === 0) return;
  if (maxSats !== undefined && sats > maxSats)
    throw new NmktError('over-budget', 'the job could cost more than --max-sats', {
      expected: `at most ${maxSats} sat`,
      got: `${sats} sat`,
      remedy: `--max-sats ${sats}, or a smaller job`,
    });
  if (context.deps.settings().wallet === undefined)
    throw new NmktError('no-wallet', 'this job pays its trainers and no wallet is set', {
      expected: 'a NIP-47 wallet',
      got: 'none',
      remedy: 'set NMKT_WALLET, --wallet-file or --settings; or post a free job with "rail": "none"',
    });
  if (job.rail === 'instalments' && job.rounds < 3)
    context.progress.note(
      'fewer than 3 rounds: each side risks a large share of the deal; trainers see this job as promised, not as paid in instalments',
    );
  await confirmMainnet(context, options, sats, maxSats);
}

export async function confirmMainnet(
  context: Context,
  options: Readonly<Record<string, unknown>>,
  sats: number,
  maxSats: number | undefined,
): Promise<void> {
  if (context.deps.network !== 'bitcoin') return;
  const isYes = options['yes'] === true;
  if (isYes && maxSats !== undefined) return;
  const { prompt } = context;
  if (!isYes && prompt.canAsk) {
    const typed = await prompt.text(`real bitcoin: type ${sats} to spend up to ${sats} sat, anything else to stop`);
    if (typed.trim() === String(sats)) return;
  }
  throw new NmktError('mainnet-not-confirmed', `up to ${sats} sat of real bitcoin would be spent`, {
    expected: `${sats} typed at the terminal, or --yes together with --max-sats`,
    got: isYes ? '--yes without --max-sats' : 'neither',
    remedy: `--yes --max-sats ${sats}`,
  });
}
