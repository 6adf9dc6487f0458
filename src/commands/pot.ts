import { NmktError } from '../errors.js';
import type { JobField } from '../roles/job-file.js';
import { table } from '../terminal/table.js';
import type { Context, Outcome } from './command.js';
import { confirmMainnet, maxSatsOf } from './spending.js';

/** What posting a job with a pot asks and shows, whatever splits the pot. */

/** @throws NmktError `over-budget`, `no-wallet`, `mainnet-not-confirmed` */
export async function confirmPot(
  context: Context,
  options: Readonly<Record<string, unknown>>,
  { rail, potSats }: { readonly rail: string; readonly potSats: number },
): Promise<void> {
  const maxSats = maxSatsOf(options);
  if (rail === 'none' || potSats === 0) return;
  if (maxSats !== undefined && potSats > maxSats)
    throw new NmktError('over-budget', 'the pot is more than --max-sats', {
      expected: `at most ${maxSats} sat`,
      got: `${potSats} sat`,
      remedy: `--max-sats ${potSats}, or a smaller --pot-sats`,
    });
  if (context.deps.settings().wallet === undefined)
    throw new NmktError('no-wallet', 'this job pays out of a pot and no wallet is set', {
      expected: 'a NIP-47 wallet',
      got: 'none',
      remedy: 'set NMKT_WALLET, --wallet-file or --settings; or post a free job with --rail none',
    });
  await confirmMainnet(context, options, potSats, maxSats);
}

/** Of `--dry-run`. */
export function termsTable(terms: object): string {
  const spelled = (value: unknown) =>
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner));
  return table(
    Object.entries(terms).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'bigint' ? `${value} msat` : spelled(value),
    ]),
  );
}

/** Of `--print-defaults`. */
export function defaultsOf(fields: readonly JobField[]): Outcome {
  return {
    value: Object.fromEntries(fields.map(({ name, fallback, about }) => [name, { default: fallback, about }])),
    text: table([
      ['field', 'default', ''],
      ...fields.map(({ name, fallback, about }) => [name, fallback === null ? '-' : JSON.stringify(fallback), about]),
    ]),
  };
}
