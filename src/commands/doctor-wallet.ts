import { isNmktError } from '../errors.js';
import type { Network, WalletBudget, WalletInfo } from '../ports.js';
import type { Context } from './command.js';
import { fail, ok, warn, type Check } from './doctor-check.js';

/** Checks of the wallet: can it be asked, is it on the right network, may this connection do what the roles need. */

export interface WalletFacts {
  readonly info: WalletInfo;
  /** Null where the connection does not show it. */
  readonly balanceMsat: bigint | null;
  /** Null where there is no budget, undefined where the connection does not say. */
  readonly budget: WalletBudget | null | undefined;
}

export async function checkWallet({ deps }: Context): Promise<readonly Check[]> {
  try {
    const wallet = await deps.wallet();
    if (wallet === null)
      return [
        warn(
          'wallet',
          'none is set: free jobs only',
          'nmkt init --force, or set NMKT_WALLET, --wallet-file or --settings',
        ),
      ];
    const info = await wallet.info();
    const balanceMsat = info.methods.has('get_balance') ? await wallet.balanceMsat() : null;
    const budget = info.methods.has('get_budget') ? await wallet.budget() : undefined;
    return judgeWallet({ info, balanceMsat, budget }, deps.network);
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return [fail('wallet', `${error.message}${error.got === undefined ? '' : ` (${error.got})`}`, error.remedy)];
  }
}

const TO_PAY = ['pay_invoice', 'lookup_invoice'];
const TO_EARN = ['make_invoice', 'lookup_invoice'];

export function judgeWallet({ info, balanceMsat, budget }: WalletFacts, network: Network): readonly Check[] {
  const isSame = info.network === network || (network === 'sandbox' && info.network === 'regtest');
  const balance = balanceMsat === null ? 'balance not shown' : `${balanceMsat / 1000n} sat`;
  const about = `${info.alias === '' ? 'a wallet' : info.alias} on ${info.network}, ${balance}`;
  const reached = isSame
    ? ok('wallet', about)
    : fail(
        'wallet',
        `it is on ${info.network}, the settings say ${network}`,
        `--network ${info.network}, or another wallet`,
      );
  return [
    reached,
    judgeMethods(info.methods),
    ...judgeBudget(info.methods, budget),
    ok('wallet encryption', info.encryption),
  ];
}

function judgeMethods(methods: ReadonlySet<string>): Check {
  const name = 'wallet methods';
  const lacks = (wanted: readonly string[]) => wanted.filter((method) => !methods.has(method));
  const [toPay, toEarn] = [lacks(TO_PAY), lacks(TO_EARN)];
  const remedy = 'make a wallet connection with all permissions, or at least those of your role';
  if (toPay.length > 0 && toEarn.length > 0) {
    const all = [...new Set([...toPay, ...toEarn])].join(', ');
    return fail(name, `it can neither pay nor be paid: no ${all}`, remedy);
  }
  if (toPay.length > 0) return warn(name, `it cannot pay, only be paid: no ${toPay.join(', ')}`, remedy);
  if (toEarn.length > 0) return warn(name, `it cannot be paid, only pay: no ${toEarn.join(', ')}`, remedy);
  return ok(name, 'it can pay and be paid');
}

/** Only payments have one. */
function judgeBudget(methods: ReadonlySet<string>, budget: WalletFacts['budget']): Check[] {
  const name = 'wallet budget';
  if (!methods.has('pay_invoice')) return [];
  if (budget === undefined) return [ok(name, 'the connection does not say whether it has one (no get_budget)')];
  if (budget === null) return [ok(name, 'none: it may pay what the balance allows')];
  const left = budget.totalMsat > budget.usedMsat ? budget.totalMsat - budget.usedMsat : 0n;
  const detail = `${left / 1000n} of ${budget.totalMsat / 1000n} sat left`;
  if (left < 1000n) return [warn(name, detail, 'raise the budget of the connection before you buy training')];
  return [ok(name, `${detail}; a job whose budget is larger cannot be paid to its end`)];
}
