import { NmktError } from '../errors.js';
import { sha256Hex } from '../hash.js';
import type { PayOutcome, Wallet, WalletInfo } from '../ports.js';
import { table } from '../terminal/table.js';
import { feeReserveMsat } from '../wallet/spend-guard.js';
import type { CommandModule, Context } from './command.js';
import { judgeWallet } from './doctor-wallet.js';
import { checkTable } from './doctor-table.js';
import { payingWallet } from './lead.js';
import { confirmMainnet, limitsOf, maxSatsOf } from './spending.js';
import { sats } from './status-tables.js';

const SELF_TEST_MSAT = 1_000n;
const EXPIRY_SEC = 600;
const PAY_TIMEOUT_MS = 65_000;

/** Reads; with --self-test pays one sat to itself. Makes no key and takes no lock. */
export const command: CommandModule = {
  configure(program) {
    program
      .option('--self-test', 'make an invoice of 1 sat, pay it with this same wallet, look it up')
      .option('--max-sats <sats>', 'with --self-test: spend no more, fee reserve of 10 sat included')
      .option('--yes', 'with --self-test and --max-sats: do not ask before real bitcoin moves')
      .addHelpText('before', '$ nmkt wallet --settings sb/customer.json\n$ nmkt wallet --self-test --json\n')
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps } = context;
    const wallet = await payingWallet(context);
    const info = await wallet.info();
    const balanceMsat = info.methods.has('get_balance') ? await wallet.balanceMsat() : null;
    const budget = info.methods.has('get_budget') ? await wallet.budget() : undefined;
    const checks = judgeWallet({ info, balanceMsat, budget }, deps.network);
    const selfTest = options['selfTest'] === true ? await testItself(context, options, wallet, info) : null;
    const budgetText =
      budget === undefined
        ? 'not said'
        : budget === null
          ? 'none'
          : `${sats(budget.usedMsat)} of ${sats(budget.totalMsat)}`;
    return {
      value: {
        ...{ alias: info.alias, network: info.network, encryption: info.encryption, balanceMsat },
        budget: budget ?? null,
        methods: [...info.methods].sort(),
        checks: checks.map(({ name, state, detail, remedy = null }) => ({ name, state, detail, remedy })),
        selfTest,
      },
      text: [
        table([
          ['wallet', info.alias],
          ['network', info.network],
          ['balance', balanceMsat === null ? 'not shown' : sats(balanceMsat)],
          ['budget', budgetText],
          ['methods', [...info.methods].sort().join(' ')],
        ]),
        checkTable(checks),
        ...(selfTest === null ? [] : [table(selfTest.steps.map(({ step, detail }) => ['self-test', step, detail]))]),
      ].join('\n\n'),
      ...(selfTest === null && { next: 'nmkt wallet --self-test' }),
    };
  },
};

const HELP = `
Any wallet that speaks NIP-47 over NIP-44. Who only earns may use a connection that can receive and not pay; who buys needs pay_invoice and
lookup_invoice. The self-test moves one sat from the wallet to itself; some wallets refuse to pay themselves, which it then says.
With --json one document {alias, network, encryption, balanceMsat, budget: {usedMsat, totalMsat} or null, methods, checks: [{name, state,
detail, remedy}], selfTest}: selfTest null, or {steps: [{step, detail}], paymentHash, preimage, feesMsat}; balanceMsat null where it is not shown.`;

interface SelfTest {
  readonly steps: readonly { readonly step: string; readonly detail: string }[];
  readonly paymentHash: string;
  /** Null of a connection that can only receive. */
  readonly preimage: string | null;
  readonly feesMsat: bigint | null;
}

/** @throws NmktError `over-budget`, `mainnet-not-confirmed` before anything is sent, `payment-failed`, `payment-unknown` */
async function testItself(
  context: Context,
  options: Readonly<Record<string, unknown>>,
  wallet: Wallet,
  { methods }: WalletInfo,
): Promise<SelfTest> {
  const { deps, progress } = context;
  const canPay = methods.has('pay_invoice');
  const most = Number((SELF_TEST_MSAT + feeReserveMsat(SELF_TEST_MSAT)) / 1_000n);
  const maxSats = maxSatsOf(options);
  const { commandMsat, dayMsat, paymentMsat } = limitsOf(context, options);
  const caps = [commandMsat, dayMsat, paymentMsat].flatMap((msat) =>
    msat === undefined ? [] : [Number(msat / 1_000n)],
  );
  const least = Math.min(...caps);
  if (canPay && least < most)
    throw new NmktError('over-budget', 'the self-test could cost more than it may', {
      expected: `at most ${least} sat`,
      got: `1 sat and a fee reserve of ${most - 1}`,
      remedy: `--max-sats ${most}, and caps of the settings (nmkt whoami) that allow it`,
    });
  if (canPay) await confirmMainnet(context, options, most, maxSats);
  const steps: { step: string; detail: string }[] = [];
  const descriptionHash = sha256Hex('nmkt/1/self-test', deps.random(32));
  const startMs = deps.clock.nowMs();
  const since = () => `${deps.clock.nowMs() - startMs} ms`;
  progress.start('asking for an invoice of 1 sat');
  const { invoice, paymentHash } = await wallet.makeInvoice({
    msat: SELF_TEST_MSAT,
    descriptionHash,
    expirySec: EXPIRY_SEC,
  });
  steps.push({ step: 'invoice', detail: `of 1 sat, as asked for, after ${since()}` });
  if (!canPay) {
    progress.done('this connection can only receive');
    return {
      steps: [...steps, { step: 'pay', detail: 'not tried: this connection can only receive' }],
      paymentHash,
      preimage: null,
      feesMsat: null,
    };
  }
  progress.update('paying it');
  const outcome = await wallet.pay(invoice, PAY_TIMEOUT_MS);
  const found = await wallet.lookup(paymentHash);
  const { preimage, feesMsat } = requirePaid(outcome, found);
  steps.push({ step: 'pay', detail: `with its preimage, ${sats(feesMsat)} of fees, after ${since()}` });
  steps.push({ step: 'look-up', detail: found.state });
  progress.done('one sat went round');
  return { steps, paymentHash, preimage, feesMsat };
}

function requirePaid(
  outcome: PayOutcome,
  found: Awaited<ReturnType<Wallet['lookup']>>,
): { readonly preimage: string; readonly feesMsat: bigint } {
  if (outcome.kind === 'paid') return outcome;
  if (found.state === 'settled' && found.preimage !== undefined)
    return { preimage: found.preimage, feesMsat: found.feesMsat ?? 0n };
  if (outcome.kind === 'rejected')
    throw new NmktError('payment-failed', 'the wallet did not pay its own invoice', {
      expected: 'a preimage',
      got: `${outcome.code}: ${outcome.message}`,
      remedy:
        'many wallets refuse to pay themselves: try a payment between two wallets, in the sandbox or with small sums',
    });
  throw new NmktError('payment-unknown', 'nobody can tell whether one sat moved', {
    expected: 'a preimage, or a refusal',
    got: `${outcome.why}; the look-up says ${found.state}`,
    remedy: 'look at the wallet itself: at most one sat went from it to itself',
  });
}
