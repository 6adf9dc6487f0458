import { join, resolve } from 'node:path';
import { isNmktError, NmktError } from '../errors.js';
import { rememberedPort, rememberPort, startSandboxWallets } from '../wallet/sandbox.js';
import type { CommandModule, Context, Outcome } from './command.js';

/** A stream command: one `ready` line when everything listens, then it serves until SIGINT or SIGTERM, a success. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('[verb]', 'mine: let blocks pass in a sandbox that runs')
      .argument('[blocks]', 'how many')
      .addHelpText(
        'before',
        '$ nmkt sandbox --dir sb\n$ nmkt serve-trainer --settings sb/trainer-1.json --home t1   # in another shell\n$ nmkt sandbox mine 144 --settings sb/customer.json\n',
      )
      .option('--dir <dir>', 'folder of the relay, the balances, the keys and one settings file each')
      .option('--trainers <n>', 'trainers to make settings for', '4')
      .option('--validators <n>', 'validators to make settings for', '0')
      .option('--sats <n>', 'what the customer starts with, once per folder', '1000000')
      .option('--stake-sats <n>', 'what each trainer and validator starts with, for stakes, once per folder', '0')
      .option('--port <port>', "the relay's port on 127.0.0.1; 0 takes this folder's last one, else a free one", '0')
      .addHelpText('after', HELP);
  },

  async run([verb, blocks], options, context) {
    if (verb !== undefined) return mine(verb, blocks, context);
    const dir = options['dir'] as string | undefined;
    if (dir === undefined)
      throw new NmktError('bad-usage', 'the sandbox needs a folder', {
        expected: '--dir DIR',
        got: 'no --dir',
        remedy: 'nmkt sandbox --dir sb; see nmkt sandbox --help',
      });
    await serve(
      {
        dir: resolve(dir),
        port: count(options, 'port', 65_535),
        trainers: count(options, 'trainers', 1_000),
        validators: count(options, 'validators', 1_000),
        sats: count(options, 'sats', 1_000_000_000_000),
        stakeSats: count(options, 'stakeSats', 1_000_000_000),
      },
      context,
    );
    return {};
  },
};

async function mine(verb: string, blocks: string | undefined, { deps }: Context): Promise<Outcome> {
  const wanted = /^\d{1,5}$/.test(blocks ?? '') ? Number(blocks) : NaN;
  if (verb !== 'mine' || !(wanted >= 1 && wanted <= MAX_BLOCKS))
    throw new NmktError('bad-usage', `nmkt sandbox ${verb} ${blocks ?? ''} is not usable`, {
      expected: `mine N, with N from 1 to ${MAX_BLOCKS}`,
      got: `${verb} ${blocks ?? ''}`.trim().slice(0, 64),
      remedy: 'nmkt sandbox mine 144 --settings sb/customer.json',
    });
  const height = await deps.mine(wanted);
  if (height === null)
    throw new NmktError('no-wallet', 'blocks pass in the sandbox of a wallet, and none is set', {
      expected: 'a settings file of a sandbox',
      got: 'none',
      remedy: `nmkt sandbox mine ${wanted} --settings sb/customer.json`,
    });
  return { value: { height }, text: `block ${height}` };
}

const MAX_BLOCKS = 10_000;

const HELP = `
mine N lets blocks pass, which nothing else does: a payment that waits for a hold invoice goes back 12 blocks before its time lock ends.
With --json {height}.
Relay, balances and keys stay in the folder; started again, it goes on with them. SIGINT and SIGTERM stop it, status 0.
With --json one line when everything listens: {event: "ready", relay, dir, settings: [file], pid}.`;

interface Plan {
  readonly dir: string;
  readonly port: number;
  readonly trainers: number;
  readonly validators: number;
  readonly sats: number;
  readonly stakeSats: number;
}

async function serve({ port, ...plan }: Plan, context: Context): Promise<void> {
  const { dir } = plan;
  const { deps, signal } = context;
  await deps.lockFolder(dir, {
    used: 'runs the sandbox of this folder',
    remedy: 'stop that sandbox, or give this one another --dir',
  });
  const relay = await startRelay(deps, dir, port);
  await rememberPort(dir, relay.port);
  const relays = await deps.connectRelays([relay.url]);
  const ledger = await deps.openLedger(join(dir, 'ledger.jsonl'));
  const { clock, random } = deps;
  const wallets = await startSandboxWallets({ ...plan, ledger, relays, relayUrl: relay.url, clock, random });
  const settings = wallets.participants.map(({ name }) => join(dir, `${name}.json`));
  context.emit(
    { event: 'ready', relay: relay.url, dir, settings, pid: process.pid },
    `relay ${relay.url}, settings in ${dir}: ${wallets.participants.map(({ name }) => `${name}.json`).join(' ')}`,
  );
  await aborted(signal);
  // No new request, then the wires; the books close with the rest.
  wallets.close();
  await relays.close();
  await relay.close();
}

async function startRelay(deps: Context['deps'], dir: string, port: number): ReturnType<Context['deps']['startRelay']> {
  const store = join(dir, 'relay');
  const last = port === 0 ? await rememberedPort(dir) : port;
  try {
    return await deps.startRelay({ port: last, dir: store });
  } catch (error) {
    if (port !== 0 || last === 0 || !isNmktError(error, 'port-in-use')) throw error;
    return deps.startRelay({ port: 0, dir: store });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
}

function count(options: Readonly<Record<string, unknown>>, name: string, max: number): number {
  const text = String(options[name]);
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value <= max) return value;
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new NmktError('bad-usage', `${flag} ${text.slice(0, 32)} is not usable`, {
    remedy: `give ${flag} as a whole number`,
    expected: `an integer from 0 to ${max}`,
    got: text.slice(0, 32),
  });
}
