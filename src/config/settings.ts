import { isAbsolute, join, resolve } from 'node:path';
import { NmktError } from '../errors.js';
import type { Rung } from '../learning/types.js';
import type { Network } from '../ports.js';
import { readSecretFile } from './secret-file.js';
import { readSettingsFile, type SettingsFile } from './settings-file.js';
import { checkEngine, checkNetwork, checkRelays, checkSats, checkWallet } from './settings-values.js';
import { openHome } from './home.js';

/** `origin` says where a value came from: `--relay`, `NMKT_RELAYS`, `./nmkt.json`, a settings file's path, `default`. */
export interface Sourced<T> {
  readonly value: T;
  readonly origin: string;
}

export interface Settings {
  readonly relays: Sourced<readonly string[]>;
  /** A NIP-47 connection URI: a secret. */
  readonly wallet: Sourced<string> | undefined;
  readonly network: Sourced<Network>;
  /** Any form of key-text: a secret, not parsed yet. The key kept in home counts too. */
  readonly key: Sourced<string> | undefined;
  readonly engine: Sourced<Rung | 'auto'>;
  /** The lowest that any layer says: what is closer to the user may tighten a cap, not loosen it. Undefined: none. */
  readonly maxDaySats: Sourced<number> | undefined;
  readonly maxPaymentSats: Sourced<number> | undefined;
}

/** The global flags, as commander names them. */
export interface SettingsFlags {
  readonly relay?: readonly string[];
  readonly walletFile?: string;
  readonly keyFile?: string;
  readonly keyPasswordFile?: string;
  readonly settings?: string;
  readonly engine?: string;
  readonly network?: string;
}

/** One place of settings; what it does not say is absent. */
export type Layer = { readonly [K in keyof SettingsFile]?: Sourced<NonNullable<SettingsFile[K]>> };

/**
 * Strongest first: flag, settings file (`--settings`, else `NMKT_SETTINGS`), environment, `./nmkt.json`, home, default.
 * Reads only; every layer is checked, also where a stronger one wins, so that a broken file does not wait for later.
 *
 * @throws NmktError `bad-settings`, `unsafe-secret-file`
 */
export async function loadSettings(
  flags: SettingsFlags,
  env: NodeJS.ProcessEnv,
  folders: { readonly cwd: string; readonly home: string },
): Promise<Settings> {
  const layers = [
    await flagLayer(flags, folders.cwd),
    await namedFileLayer(flags, env, folders.cwd),
    await environmentLayer(env, folders.cwd),
    fileLayer(await readSettingsFile(join(folders.cwd, 'nmkt.json'), { secrets: 'forbidden' }), './nmkt.json'),
    await homeLayer(folders.home),
  ];
  const strongest = <K extends keyof SettingsFile>(name: K): Layer[K] =>
    layers.find((layer) => layer[name] !== undefined)?.[name];
  const lowest = (name: 'maxDaySats' | 'maxPaymentSats'): Sourced<number> | undefined =>
    layers.flatMap((one) => one[name] ?? []).sort((a, b) => a.value - b.value)[0];
  return {
    maxDaySats: lowest('maxDaySats'),
    maxPaymentSats: lowest('maxPaymentSats'),
    relays: strongest('relays') ?? { value: [], origin: 'default' },
    wallet: strongest('wallet'),
    network: strongest('network') ?? { value: 'sandbox', origin: 'default' },
    key: strongest('key'),
    engine: strongest('engine') ?? { value: 'auto', origin: 'default' },
  };
}

async function flagLayer(flags: SettingsFlags, cwd: string): Promise<Layer> {
  return layer({
    relays: flags.relay?.length ? from('--relay', checkRelays(flags.relay, '--relay')) : undefined,
    wallet: await secretFrom(flags.walletFile, '--wallet-file', cwd, checkWallet),
    network: flags.network ? from('--network', checkNetwork(flags.network, '--network')) : undefined,
    key: await secretFrom(flags.keyFile, '--key-file', cwd),
    engine: flags.engine ? from('--engine', checkEngine(flags.engine, '--engine')) : undefined,
  });
}

async function namedFileLayer(flags: SettingsFlags, env: NodeJS.ProcessEnv, cwd: string): Promise<Layer> {
  const path = flags.settings ?? env['NMKT_SETTINGS'];
  if (!path) return {};
  const namedBy = flags.settings ? '--settings' : 'NMKT_SETTINGS';
  const file = await readSettingsFile(absolute(path, cwd), { secrets: 'private' });
  if (file !== undefined) return fileLayer(file, path);
  throw new NmktError('bad-settings', `${namedBy}: ${path} is not there`, {
    remedy: `name a settings file that exists with ${namedBy}`,
    expected: 'a JSON file',
    got: 'no file',
  });
}

async function environmentLayer(env: NodeJS.ProcessEnv, cwd: string): Promise<Layer> {
  const { NMKT_RELAYS, NMKT_WALLET, NMKT_NETWORK, NMKT_KEY, NMKT_KEY_FILE, NMKT_ENGINE } = env;
  const { NMKT_MAX_DAY_SATS: day, NMKT_MAX_PAYMENT_SATS: payment } = env;
  const sats = (value: string | undefined, field: 'maxDaySats' | 'maxPaymentSats', name: string) =>
    value ? from(name, checkSats(value, field, name)) : undefined;
  const relays = NMKT_RELAYS?.split(',').flatMap((url) => url.trim() || []);
  return layer({
    relays: relays?.length ? from('NMKT_RELAYS', checkRelays(relays, 'NMKT_RELAYS')) : undefined,
    wallet: NMKT_WALLET ? from('NMKT_WALLET', checkWallet(NMKT_WALLET, 'NMKT_WALLET')) : undefined,
    network: NMKT_NETWORK ? from('NMKT_NETWORK', checkNetwork(NMKT_NETWORK, 'NMKT_NETWORK')) : undefined,
    key: NMKT_KEY ? from('NMKT_KEY', NMKT_KEY.trim()) : await secretFrom(NMKT_KEY_FILE, 'NMKT_KEY_FILE', cwd),
    engine: NMKT_ENGINE ? from('NMKT_ENGINE', checkEngine(NMKT_ENGINE, 'NMKT_ENGINE')) : undefined,
    maxDaySats: sats(day, 'maxDaySats', 'NMKT_MAX_DAY_SATS'),
    maxPaymentSats: sats(payment, 'maxPaymentSats', 'NMKT_MAX_PAYMENT_SATS'),
  });
}

/** What a home keeps: `settings.json`, then the files `key` and `wallet` with one value each. @throws NmktError `bad-settings`, `unsafe-secret-file` */
export async function homeLayer(dir: string): Promise<Layer> {
  const home = openHome(dir);
  const path = home.path('settings.json');
  const file = fileLayer(await readSettingsFile(path, { secrets: 'private' }), path);
  const kept = async (name: string): Promise<Sourced<string> | undefined> =>
    (await home.readFile(name)) && from(home.path(name), await readSecretFile(home.path(name), `home/${name}`));
  return layer({
    ...file,
    key: file.key ?? (await kept('key')),
    wallet: file.wallet ?? (await kept('wallet')),
  });
}

function fileLayer(file: SettingsFile | undefined, origin: string): Layer {
  if (file === undefined) return {};
  return layer({
    relays: file.relays && from(origin, file.relays),
    wallet: file.wallet === undefined ? undefined : from(origin, file.wallet),
    network: file.network && from(origin, file.network),
    key: file.key === undefined ? undefined : from(origin, file.key),
    engine: file.engine && from(origin, file.engine),
    maxDaySats: file.maxDaySats === undefined ? undefined : from(origin, file.maxDaySats),
    maxPaymentSats: file.maxPaymentSats === undefined ? undefined : from(origin, file.maxPaymentSats),
  });
}

async function secretFrom(
  path: string | undefined,
  namedBy: string,
  cwd: string,
  check: (value: string, where: string) => string = (value) => value,
): Promise<Sourced<string> | undefined> {
  if (!path) return undefined;
  return from(namedBy, check(await readSecretFile(absolute(path, cwd), namedBy), namedBy));
}

function from<T>(origin: string, value: T): Sourced<T> {
  return { value, origin };
}

/** The names with a value; the others stay absent, so a weaker layer is asked. */
function layer(values: { readonly [K in keyof Layer]: Layer[K] | undefined }): Layer {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function absolute(path: string, cwd: string): string {
  return isAbsolute(path) ? path : resolve(cwd, path);
}
