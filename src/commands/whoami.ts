import { formatPubkey } from '../config/identifiers.js';
import { isNmktError } from '../errors.js';
import type { Sourced } from '../config/settings.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context } from './command.js';
import { describeForm } from './describe-key.js';

/** The wallet as far as it can be seen; its URI is a secret and stays out. */
interface WalletReport {
  readonly origin: string;
  readonly network: string | null;
  readonly alias: string | null;
  readonly balanceMsat: bigint | null;
  /** Why network and balance are null: an error code. */
  readonly problem: string | null;
}

/** Reads only: makes no key, takes no lock, and answers without relays or a wallet. */
export const command: CommandModule = {
  configure(program) {
    program.addHelpText('before', '$ nmkt whoami --settings sb/customer.json\n').addHelpText('after', HELP);
  },

  async run(_args, _options, { deps, signal }) {
    const settings = deps.settings();
    const report = await deps.keyReport();
    const wallet = await reportWallet(deps, signal);
    const key = report && {
      npub: report.pubkey && formatPubkey(report.pubkey),
      ...report,
    };
    const { relays, network, engine, maxDaySats, maxPaymentSats } = settings;
    const home = deps.home().dir;
    return {
      value: {
        key: key ?? null,
        relays: { urls: relays.value, origin: relays.origin },
        wallet,
        network: { name: network.value, origin: network.origin },
        engine: { rung: engine.value, origin: engine.origin },
        caps: { daySats: capOf(maxDaySats), paymentSats: capOf(maxPaymentSats) },
        home,
      },
      text: table(
        [
          ['key', key ? (key.npub ?? 'not known yet') : 'none yet', key?.origin ?? ''],
          ['', key?.pubkey ?? '', ''],
          ...(report ? describeForm(report) : []).map((line) => ['', line, '']),
          ...(relays.value.length > 0 ? relays.value : ['none']).map((url) => ['relay', url, relays.origin]),
          ['wallet', wallet ? describeWallet(wallet) : 'none', wallet?.origin ?? ''],
          ['network', network.value, network.origin],
          ['engine', engine.value, engine.origin],
          ...(maxDaySats ? [['per day', `at most ${maxDaySats.value} sat`, maxDaySats.origin]] : []),
          ...(maxPaymentSats ? [['per payment', `at most ${maxPaymentSats.value} sat`, maxPaymentSats.origin]] : []),
          ['home', home, ''],
        ].filter((row) => row.some((cell, column) => column > 0 && cell !== '')),
      ),
      next:
        relays.value.length > 0
          ? 'nmkt publish-dataset --help, or nmkt serve-trainer --help'
          : 'nmkt init, or a private market: nmkt sandbox --dir sb',
    };
  },
};

const capOf = (cap: Sourced<number> | undefined) =>
  cap === undefined ? null : { sats: cap.value, origin: cap.origin };

const HELP = `
Reads only: makes no key, and answers without relays or a wallet. Settings come from a flag, else the --settings file, the environment
(NMKT_HOME, NMKT_RELAYS, NMKT_WALLET, NMKT_NETWORK, NMKT_ENGINE, NMKT_ENGINE_DIR, NMKT_KEY, NMKT_KEY_FILE, NMKT_SETTINGS), ./nmkt.json, the home, the default.
A key is an nsec, 64 hex characters, an ncryptsec (its password from --key-password-file, NMKT_KEY_PASSWORD or a question), or a bunker:// address
of a remote signer (waited for NMKT_BUNKER_TIMEOUT seconds, 60 by default).
With --json one document:
  key      {npub, pubkey, origin, form, bunker} or null; form: plain, encrypted or bunker; npub and pubkey are null while only the password
           or the bunker can tell; bunker: {pubkey, relays, isConnected} or null; relays: {urls, origin}; network: {name, origin}; engine: {rung, origin}
  caps     {daySats, paymentSats}, each {sats, origin} or null: NMKT_MAX_DAY_SATS and NMKT_MAX_PAYMENT_SATS, or maxDaySats and maxPaymentSats of
           a settings file, the lowest of all; fees count
  wallet   {origin, network, alias, balanceMsat, problem} or null; problem: the error code that kept the rest null
  home     the folder of this participant`;

async function reportWallet(deps: Context['deps'], signal: AbortSignal): Promise<WalletReport | null> {
  const origin = deps.settings().wallet?.origin;
  if (origin === undefined) return null;
  try {
    const wallet = await deps.wallet();
    if (wallet === null) return null;
    const [info, balanceMsat] = await Promise.all([wallet.info(), wallet.balanceMsat()]);
    return { origin, network: info.network, alias: info.alias, balanceMsat, problem: null };
  } catch (error) {
    if (signal.aborted || !isNmktError(error)) throw error;
    return { origin, network: null, alias: null, balanceMsat: null, problem: error.code };
  }
}

/** Msat as sats, rounded down. */
function describeWallet({ network, alias, balanceMsat, problem }: WalletReport): string {
  if (balanceMsat === null) return `not available (${problem ?? 'unknown'})`;
  return `${balanceMsat / 1000n} sats on ${network ?? 'an unknown network'}${alias ? `, ${alias}` : ''}`;
}
