import { isNmktError } from '../errors.js';
import { measureThroughput } from '../roles/throughput.js';
import { providerInUse, providerReports } from '../secp/provider.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context } from './command.js';
import { fail, type Check } from './doctor-check.js';
import { checkHome, checkKey, judgeEngines, judgeMasking, judgeNode, judgeSignatures } from './doctor-machine.js';
import { askRelay, judgeClock, judgeRelay } from './doctor-relay.js';
import { checkWallet } from './doctor-wallet.js';

/** Makes no key and no folder. What it writes to relays expires in a minute. */
export const command: CommandModule = {
  configure(program) {
    program
      .option('--no-probe', 'write nothing: only connect, read and ask')
      .addHelpText('before', '$ nmkt doctor\n$ nmkt doctor --settings sb/trainer-1.json --home t1 --json\n')
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    context.progress.start('checking this machine, the relays and the wallet');
    const checks = await allChecks(context, options['probe'] !== false);
    const failed = checks.filter(({ state }) => state === 'fail');
    context.progress.done(failed.length === 0 ? 'nothing fails' : `${failed.length} of ${checks.length} checks fail`);
    return {
      value: { checks },
      text: describe(checks),
      ...(failed.length === 0
        ? { next: 'nmkt publish-dataset --help, or nmkt serve-trainer --help' }
        : { exit: 3, next: failed[0]!.remedy! }),
    };
  },
};

/** Small enough for the slowest engine. */
const TRIAL = {
  model: { model: 'mlp', task: 'classification', inputs: 196, outputs: 10, hidden: [32] },
  hyper: { optimizer: 'sgd', learningRate: 0.01, batch: 64, epochs: 1 },
} as const;

const HELP = `
Checks Node.js, the home (permissions, lock, free disk), the key, the clock (by the relays), each relay, the wallet (network, methods, budget,
encryption), which library signs events, whether WebSockets are masked natively, and each engine (does it load, how many examples of a small model it trains in a second).
A relay is tried with what a market needs: an event, an event as large as a chunk (64,412 bytes), a gift wrap, an ephemeral event, 16 of
those at once, a login (NIP-42) where it demands one, and its limits (NIP-11). What is written expires in a minute, and its deletion is
asked for. With --no-probe nothing is written and no login is tried. A chunk or gift wrap that one relay refuses is a warning while
another relay takes it.
Exit status: 0 when nothing fails (warnings too), else 3.
With --json one document: checks, [{name, state, detail, remedy}], state being ok, warn or fail; remedy is null where nothing has to be done.`;

async function allChecks(context: Context, isWriting: boolean): Promise<Check[]> {
  const { deps } = context;
  const { relays, engine } = deps.settings();
  const [home, key, wallet, network, engines, masking] = await Promise.all([
    checkHome(context),
    checkKey(context),
    checkWallet(context),
    checkRelays(context, relays.value, isWriting),
    deps.describeEngines((one) => measureThroughput(one, TRIAL)),
    deps.describeMasking(),
  ]);
  return [
    judgeNode(process.versions.node),
    judgeSignatures(providerReports(), providerInUse()),
    judgeMasking(masking),
    ...home,
    key,
    ...network,
    ...wallet,
    ...judgeEngines(engines, engine.value),
  ];
}

async function checkRelays(context: Context, urls: readonly string[], isWriting: boolean): Promise<Check[]> {
  if (urls.length === 0)
    return [fail('relays', 'none is set', 'nmkt init, or a private market: nmkt sandbox --dir sb')];
  try {
    const { urls: known } = await context.deps.relays();
    const facts = await Promise.all(known.map((url) => askRelay(context, url, isWriting)));
    return [
      judgeClock(facts),
      ...facts.flatMap((one) =>
        judgeRelay(
          one,
          facts.filter((other) => other !== one),
        ),
      ),
    ];
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return [fail('relays', error.message, error.remedy)];
  }
}

function describe(checks: readonly Check[]): string {
  return table(
    checks.map(({ state, name, detail, remedy }) => [
      state,
      name,
      remedy === null || state === 'ok' ? detail : `${detail}; try: ${remedy}`,
    ]),
  );
}
