import { isNmktError } from '../errors.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context } from './command.js';
import { fail, type Check } from './doctor-check.js';
import { checkHome, checkKey, judgeEngines, judgeNode } from './doctor-machine.js';
import { askRelay, checkWallet, judgeClock, judgeRelay } from './doctor-network.js';

/** Makes no key and no folder. What it writes to relays expires in a minute. */
export const command: CommandModule = {
  configure(program) {
    program
      .addHelpText('before', '$ nmkt doctor\n$ nmkt doctor --settings sb/trainer-1.json --home t1 --json\n')
      .addHelpText('after', HELP);
  },

  async run(_args, _options, context) {
    context.progress.start('checking this machine, the relays and the wallet');
    const checks = await allChecks(context);
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

const HELP = `
Checks Node.js, the home (permissions, lock, free disk), the key, the clock, each relay (an event that expires in a minute is written and read
back), the wallet and each engine. Exit status: 0 when nothing fails, else 3.
With --json one document: checks, [{name, state, detail, remedy}], state being ok, warn or fail; remedy is null where nothing has to be done.`;

async function allChecks(context: Context): Promise<Check[]> {
  const { deps } = context;
  const { relays, engine } = deps.settings();
  const [home, key, wallet, network, engines] = await Promise.all([
    checkHome(context),
    checkKey(context),
    checkWallet(context),
    checkRelays(context, relays.value),
    deps.describeEngines(),
  ]);
  return [judgeNode(process.versions.node), ...home, key, ...network, wallet, ...judgeEngines(engines, engine.value)];
}

async function checkRelays(context: Context, urls: readonly string[]): Promise<Check[]> {
  if (urls.length === 0)
    return [fail('relays', 'none is set', 'nmkt init, or a private market: nmkt sandbox --dir sb')];
  try {
    const pool = await context.deps.relays();
    const facts = await Promise.all(pool.urls.map((url) => askRelay(context, url)));
    return [judgeClock(facts), ...facts.map(judgeRelay)];
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
