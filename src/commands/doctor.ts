import { measureThroughput } from '../roles/throughput.js';
import { providerInUse, providerReports } from '../secp/provider.js';
import type { CommandModule, Context } from './command.js';
import { checkRelays, type Checked } from './doctor-network.js';
import { checkHome, checkKey, judgeEngines, judgeMasking, judgeNode, judgeSignatures } from './doctor-machine.js';
import { describeDoctor } from './doctor-table.js';
import { checkWallet } from './doctor-wallet.js';
import { verdictOf } from './relay-verdict.js';

/** Makes no key and no folder. What it writes to relays expires in a minute. */
export const command: CommandModule = {
  configure(program) {
    program
      .option('--no-probe', 'write nothing: only connect, read and ask')
      .option('--fresh', 'try the relays anew, whatever this home knows of them')
      .addHelpText('before', '$ nmkt doctor\n$ nmkt doctor --settings sb/trainer-1.json --home t1 --json\n')
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    context.progress.start('checking this machine, the relays and the wallet');
    const { checks, relays } = await allChecks(context, options['probe'] !== false, options['fresh'] === true);
    const failed = checks.filter(({ state }) => state === 'fail');
    context.progress.done(failed.length === 0 ? 'nothing fails' : `${failed.length} of ${checks.length} checks fail`);
    return {
      value: { checks, relays: relays.map((one) => ({ ...(verdictOf(one) ?? { use: null, reason: '' }), ...one })) },
      text: describeDoctor(checks, relays, context.deps.clock.nowSec()),
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
encryption), which library signs events, whether WebSockets are masked natively, and each engine (does it load, how many examples of a small
model it trains in a second).
A relay is tried with what a market needs: an event, an event as large as a chunk (64,412 bytes; where it is refused, the largest one that
is not), gift wraps to this key and to another, an ephemeral event, 16 small events at once, a login (NIP-42) where it demands one, and its
limits (NIP-11). All is read back over another connection. What is written expires in a minute, and its deletion (NIP-09) is asked for.
The answers are kept in the home for a week, or until the relay's software changes; --fresh tries all of it anew. Whether a relay answers
is asked every time. With --no-probe nothing is written and no login is tried. A chunk or gift wrap that one relay refuses is a warning
while another relay takes it.
A row of the relays' table: what it is good for, the largest event it took (64K is a chunk), how many events it took in a second, or at once
where it then said no, what it demands a login for, and when that was tried. What is wrong stands below.
Exit status: 0 when nothing fails (warnings too), else 3.
With --json one document: checks, [{name, state, detail, remedy}], state being ok, warn or fail; remedy is null where nothing has to be done;
and relays, [{url, use, reason, triedAtSec, answer, probe}], use being "data + jobs", "jobs only", "inbox only", "unusable" or null.`;

async function allChecks(context: Context, isWriting: boolean, isFresh: boolean): Promise<Checked> {
  const { deps } = context;
  const { relays, engine } = deps.settings();
  const [home, key, wallet, network, masking] = await Promise.all([
    checkHome(context),
    checkKey(context),
    checkWallet(context),
    checkRelays(context, relays.value, { isWriting, isFresh }),
    deps.describeMasking(),
  ]);
  // Not meanwhile: both measure how fast something is.
  const engines = await deps.describeEngines((one) => measureThroughput(one, TRIAL));
  const checks = [
    judgeNode(process.versions.node),
    judgeSignatures(providerReports(), providerInUse()),
    judgeMasking(masking),
    ...home,
    key,
    ...network.checks,
    ...wallet,
    ...judgeEngines(engines, engine.value),
  ];
  return { checks, relays: network.relays };
}
