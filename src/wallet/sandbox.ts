import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { fromHex, hex, type Bytes, type Pubkey } from '../hash.js';
import type { Clock, Journal, RandomBytes, Relays } from '../ports.js';
import { isValidSecret, publicKey } from '../schnorr.js';
import { nodeIdOf } from './bolt11.js';
import { openLedger, type Ledger, type LedgerRecord } from './ledger.js';
import { openSandboxFolder } from './sandbox-folder.js';
import { sandboxBackend } from './service-methods.js';
import { startWalletService, type WalletServiceOptions } from './service.js';
import { formatWalletUri } from './wallet-uri.js';

export interface SandboxOptions {
  /** Absent: nothing outlives the process. */
  readonly dir?: string;
  /** Kept in `dir` too; absent: in memory. The caller closes its journal. */
  readonly ledger?: Ledger;
  readonly trainers: number;
  readonly validators: number;
  /** What the customer starts with, once per folder. */
  readonly sats: number;
  /** What everybody else starts with; default nothing. */
  readonly stakeSats?: number;
  readonly relays: Relays;
  /** Written into the settings files. */
  readonly relayUrl: string;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly faultFor?: WalletServiceOptions['faultFor'];
}

/** The content of a participant's settings file. */
export interface SandboxSettings {
  readonly relays: readonly string[];
  readonly wallet: string;
  readonly network: 'sandbox';
  readonly key: string;
}
export interface SandboxParticipant {
  /** `customer`, `trainer-1`, `validator-1`, ... */
  readonly name: string;
  /** Absolute path of the settings file, when there is a folder. */
  readonly file?: string;
  readonly settings: SandboxSettings;
}
export interface SandboxWallets {
  readonly participants: readonly SandboxParticipant[];
  readonly ledger: Ledger;
  /** 33 bytes compressed, hex: signs every invoice of this sandbox. */
  readonly nodePubkey: string;
  close(): void;
}

/** 64 hex each. */
interface SandboxKeys {
  readonly node: string;
  readonly service: string;
  readonly participants: Readonly<Record<string, { readonly key: string; readonly connection: string }>>;
}

const KEYS_FILE = 'sandbox-keys.json';
const PORT_FILE = 'relay-port.json';
const MAX_PARTICIPANTS = 1000;

/**
 * A wallet for each participant behind one wallet service, and their settings files. Keys and balances are kept over
 * restarts; more participants may be asked for later.
 */
export async function startSandboxWallets(options: SandboxOptions): Promise<SandboxWallets> {
  const { dir, relays, relayUrl, random, clock } = options;
  const folder = dir === undefined ? undefined : openSandboxFolder(dir);
  const names = participantNames(options.trainers, options.validators);
  const keys = completeKeys(parseKeys(await folder?.read(KEYS_FILE)), names, random);
  // Before anything uses them: a key that is lost with money on it is money lost.
  await folder?.write(KEYS_FILE, keys);

  const ledger = options.ledger ?? (await openLedger(memoryLedger()));
  await ledger.fundOnce('customer', BigInt(options.sats) * 1000n);
  const { stakeSats = 0 } = options;
  if (stakeSats > 0) for (const name of names.slice(1)) await ledger.fundOnce(name, BigInt(stakeSats) * 1000n);
  const [secret, nodeSecret] = [fromHex(keys.service), fromHex(keys.node)];
  const service = await startWalletService({
    relays,
    secret,
    connections: new Map(
      Object.entries(keys.participants).map(([name, { connection }]) => [publicKey(fromHex(connection)), name]),
    ),
    backend: sandboxBackend({ ledger, nodeSecret, clock, random }),
    clock,
    ...(options.faultFor && { faultFor: options.faultFor }),
  });
  const participants = names.map((name) => participant(name, keys, service.pubkey, relayUrl, folder?.dir));
  for (const { name, settings } of participants) {
    await folder?.write(`${name}.json`, settings);
  }
  return { participants, ledger, nodePubkey: nodeIdOf(nodeSecret), close: () => service.close() };
}

/** The relay's last port in this folder, 0 when there was none: settings files handed out name it. */
export async function rememberedPort(dir: string): Promise<number> {
  const value = await openSandboxFolder(dir).read(PORT_FILE);
  const port = (value as { port?: unknown } | null | undefined)?.port;
  return Number.isSafeInteger(port) && (port as number) > 0 && (port as number) < 65_536 ? (port as number) : 0;
}

export async function rememberPort(dir: string, port: number): Promise<void> {
  await openSandboxFolder(dir).write(PORT_FILE, { port });
}

function participantNames(trainers: number, validators: number): readonly string[] {
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0 && value <= MAX_PARTICIPANTS;
  if (!isCount(trainers) || !isCount(validators)) {
    throw new NmktError('bad-usage', 'the number of participants is not usable', {
      remedy: 'give --trainers and --validators as whole numbers',
      expected: `0 to ${MAX_PARTICIPANTS} each`,
      got: `${trainers} trainers, ${validators} validators`,
    });
  }
  const numbered = (role: string, count: number) => Array.from({ length: count }, (_, index) => `${role}-${index + 1}`);
  return ['customer', ...numbered('trainer', trainers), ...numbered('validator', validators)];
}

function participant(
  name: string,
  keys: SandboxKeys,
  walletPubkey: Pubkey,
  relayUrl: string,
  dir: string | undefined,
): SandboxParticipant {
  const { key, connection } = keys.participants[name]!;
  const wallet = formatWalletUri({ walletPubkey, relays: [relayUrl], secret: connection });
  const settings = { relays: [relayUrl], wallet, network: 'sandbox', key } as const;
  return { name, settings, ...(dir !== undefined && { file: join(dir, `${name}.json`) }) };
}

function completeKeys(known: SandboxKeys | undefined, names: readonly string[], random: RandomBytes): SandboxKeys {
  const fresh = names
    .filter((name) => known === undefined || !Object.hasOwn(known.participants, name))
    .map((name) => [name, { key: newSecret(random), connection: newSecret(random) }] as const);
  return {
    node: known?.node ?? newSecret(random),
    service: known?.service ?? newSecret(random),
    participants: { ...known?.participants, ...Object.fromEntries(fresh) },
  };
}

function newSecret(random: RandomBytes): string {
  let secret: Bytes;
  do secret = random(32);
  while (!isValidSecret(secret));
  return hex(secret);
}

/** @throws NmktError `bad-settings`: going on with new keys would strand the balances */
function parseKeys(value: unknown): SandboxKeys | undefined {
  if (value === undefined) return undefined;
  const keys: Partial<Record<keyof SandboxKeys, unknown>> = Object(value) as object;
  const participants = (keys.participants ?? {}) as Readonly<Record<string, { key?: unknown; connection?: unknown }>>;
  const pairs = Object.values(participants).flatMap((pair) => [pair.key, pair.connection]);
  const isSecret = (text: unknown): boolean =>
    typeof text === 'string' && /^[0-9a-f]{64}$/.test(text) && isValidSecret(fromHex(text));
  if (pairs.length > 0 && [keys.node, keys.service, ...pairs].every(isSecret)) return value as SandboxKeys;
  throw new NmktError('bad-settings', `${KEYS_FILE} of the sandbox is damaged`, {
    remedy: 'restore it from a backup, or start another sandbox in an empty folder',
    expected: 'a node key, a service key and two keys per participant',
    got: 'something else',
  });
}

function memoryLedger(): Journal<LedgerRecord> {
  const records: LedgerRecord[] = [];
  return {
    append: async (record) => void records.push(record),
    read: async () => [...records],
    close: async () => undefined,
  };
}
