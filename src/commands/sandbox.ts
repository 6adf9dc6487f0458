import type { Command } from 'commander';
import { once } from 'node:events';
import { openHome, type Home } from '../config/home.js';
import type { Deps, RelayServer } from '../deps.js';
import { isNmktError, NmktError } from '../errors.js';
import type { LedgerRecord } from '../wallet/ledger.js';
import { startSandboxWallets } from '../wallet/sandbox.js';
import type { CommandModule, Context } from './command.js';

const MAX_SATS = 1_000_000_000_000;

export const command: CommandModule = {
  configure(program: Command): void {
    program
      .description('Run a private relay and Lightning wallets with play money on this machine.')
      .requiredOption('--dir <dir>', 'folder of the sandbox: relay, balances, keys and one settings file each')
      .option('--trainers <n>', 'trainers to make settings for', '4')
      .option('--validators <n>', 'validators to make settings for', '0')
      .option('--sats <n>', 'what the customer starts with, once per folder', '1000000')
      .option('--port <n>', 'port of the relay on 127.0.0.1; 0 takes the last one of this folder, or a free one', '0')
      .addHelpText(
        'after',
        '\nExamples:\n  nmkt sandbox --dir sb\n  nmkt serve-trainer --settings sb/trainer-1.json --home t1\n\nStop it with Ctrl-C; the same command goes on where it ended.',
      );
  },

  async run(_args, options, context) {
    const sats = count(options, 'sats', MAX_SATS);
    const port = count(options, 'port', 65_535);
    const [trainers, validators] = [count(options, 'trainers', 1000), count(options, 'validators', 1000)];
    const folder = openHome(String(options['dir']));
    await folder.lock();
    try {
      await serve({ folder, port, trainers, validators, sats }, context);
    } finally {
      await folder.unlock();
    }
    return {};
  },
};

interface Plan {
  readonly folder: Home;
  readonly port: number;
  readonly trainers: number;
  readonly validators: number;
  readonly sats: number;
}

async function serve({ folder, port, ...numbers }: Plan, { deps, emit, signal }: Context): Promise<void> {
  const server = await startRelay(deps, folder, port);
  const relays = await deps.connectRelays([server.url]);
  const ledger = await deps.openJournal<LedgerRecord>(folder.path('ledger.jsonl'));
  const { clock, random } = deps;
  const wallets = await startSandboxWallets({
    ...numbers,
    folder,
    ledger,
    relays,
    relayUrl: server.url,
    clock,
    random,
  });
  const settings = wallets.participants.map(({ file }) => file!);
  emit(
    { event: 'ready', relay: server.url, dir: folder.dir, settings, pid: process.pid },
    `ready: ${server.url}, settings in ${folder.dir}`,
  );
  if (!signal.aborted) await once(signal, 'abort');
  // From the user inwards: no new request, then the wires, then the books.
  wallets.close();
  await relays.close();
  await ledger.close();
  await server.close();
}

/** With port 0 the last port of the folder is tried first, so that settings files handed out stay good. */
async function startRelay(deps: Deps, folder: Home, port: number): Promise<RelayServer> {
  const dir = folder.path('relay');
  const last = readPort(await folder.readJson('port.json'));
  const server = await deps.startRelay({ port: port || last, dir }).catch((error: unknown) => {
    if (port === 0 && last !== 0 && isNmktError(error, 'port-in-use')) return deps.startRelay({ port: 0, dir });
    throw error;
  });
  await folder.writeFile('port.json', `${JSON.stringify({ port: Number(new URL(server.url).port) })}\n`);
  return server;
}

function readPort(value: unknown): number {
  const port = (value as { port?: unknown } | undefined | null)?.port;
  return Number.isSafeInteger(port) && (port as number) > 0 && (port as number) < 65_536 ? (port as number) : 0;
}

function count(options: Readonly<Record<string, unknown>>, name: string, max: number): number {
  const text = String(options[name]);
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value <= max) return value;
  throw new NmktError('bad-usage', `--${name} is not usable`, {
    remedy: `give --${name} as a whole number`,
    expected: `0 to ${max}`,
    got: text.slice(0, 32),
  });
}
