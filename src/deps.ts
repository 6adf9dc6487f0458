import { randomBytes } from 'node:crypto';
import type { BackedUp, Restored } from './backup/home-backup.js';
import type { Backup } from './backup/read.js';
import { resolve } from 'node:path';
import { systemClock } from './config/clock.js';
import { defaultHomeDir, engineDir, openHome, type Home } from './config/home.js';
import type { BunkerPort, Identity, KeyReport } from './config/identity.js';
import type { BunkerAddress } from './config/key-text.js';
import {
  homeLayer,
  loadSettings,
  type Layer,
  type Settings,
  type SettingsFlags,
  type Sourced,
} from './config/settings.js';
import { lockFolder, type LockOptions } from './disk/lock.js';
import { NmktError } from './errors.js';
import { hex, type Bytes } from './hash.js';
import type { Rung } from './learning/types.js';
import type {
  Clock,
  Engine,
  Journal,
  Network,
  Progress,
  Prompt,
  RandomBytes,
  Relays,
  Signer,
  Stake,
  Wallet,
} from './ports.js';
import type { DumpRelays } from './relay/dump-reader.js';
import type { DumpRecorder } from './relay/dump-writer.js';
import type { RelayOptions, RunningRelay } from './relay/embedded.js';
import { keepSecret } from './terminal/redact.js';
import type { InformationAnswer } from './relay/fetch-information.js';
import type { ProbeFacts, ProbeOptions } from './relay/probe.js';
import type { MaskingReport } from './relay/masking.js';
import type { EngineLimits, RungReport, TrainingEngine } from './training/engine.js';
import type { Ledger, LedgerRecord } from './wallet/ledger.js';

export interface EngineRequest {
  /** Rungs the job accepts; absent: any. The participant's own `engine` setting narrows it further. */
  readonly accepted?: readonly Rung[];
  readonly limits?: Partial<EngineLimits>;
  /** Of the wasm rung; default 1. */
  readonly threads?: number;
}

/**
 * What commands may ask for. Adapters load on first use; those that several parts share (home, the signer, the
 * default relays, the wallet) are made once; `close` ends all of them, in reverse order.
 */
export interface Deps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly network: Network;
  /** Each value with its origin. Never print `wallet` or `key`. */
  settings(): Settings;
  /** This participant's folder; nothing is created until `ensure`, `lock` or a write. */
  home(): Home;
  /** `home()`, made and locked for this process until `close`: call it first in a command that writes. @throws `home-locked` */
  lockedHome(): Promise<Home>;
  /**
   * The participant's key: settings, else home. With `create`, a missing key is made in home (and stderr says so) and a
   * bunker is connected to; without, such a key is `undefined`. With `ask: false` a key that needs its password typed is
   * `undefined` too. @throws `bad-key`, `wrong-password`, `bunker-unreachable`, `bunker-refused`
   */
  signer(options: { readonly create: true }): Promise<Signer>;
  signer(options: SignerOptions): Promise<Signer | undefined>;
  /** What is known of that key without a password and without asking a bunker; undefined when there is none. @throws `bad-key` */
  keyReport(): Promise<KeyReport | undefined>;
  /** Asks the bunker of that key, if there is one, whether it is there. @throws `bunker-unreachable` */
  checkBunker(): Promise<void>;
  /** A key in any form, for `init`: not the participant's yet. */
  identityOf(key: Sourced<string>): Identity;
  /** What the home keeps, whatever flags and environment say. @throws `bad-settings`, `unsafe-secret-file` */
  homeSettings(): Promise<Layer>;
  /** From --key-password-file, else NMKT_KEY_PASSWORD. */
  keyPassword(): Promise<string | undefined>;
  /** The key under a password, as text (NIP-49). */
  encryptKey(secret: Bytes, password: string): Promise<string>;
  /**
   * A pool over `urls`, or over the relays of the settings (one pool per list). If there is a key by then, it answers
   * NIP-42 AUTH. @throws `bad-usage` when there are no relays at all
   */
  relays(urls?: readonly string[]): Promise<Relays>;
  /** A pool of its own for another identity (demo, sandbox, tests); closed with the rest. */
  connectRelays(urls: readonly string[], signer?: Signer): Promise<Relays>;
  /** A file of signed events as relays that only read. @throws `bad-usage`, `bad-event`, `too-large` */
  openDump(path: string): Promise<DumpRelays>;
  /** Keeps what is read from `relays` for such a file. @throws `bad-usage` */
  recordDump(path: string, relays: Relays): Promise<DumpRecorder>;
  /** The wallet of the settings, or null when none is set. */
  wallet(): Promise<Wallet | null>;
  /** The wallet behind a NIP-47 URI (demo, sandbox). */
  connectWallet(uri: string): Promise<Wallet>;
  /** Where the wallet of the settings locks stake, or null when none is set. */
  stake(): Promise<Stake | null>;
  /** Lets blocks pass in the sandbox of that wallet. @returns the height, or null when none is set */
  mine(blocks: number): Promise<number | null>;
  /** Keeps other processes out of a folder that is no home, until `close`. @throws `home-locked` */
  lockFolder(folder: string, words: NonNullable<LockOptions['words']>): Promise<void>;
  /** The sandbox's books, in the journal `path`. */
  openLedger(path: string): Promise<Ledger>;
  /** A new training worker. @throws `engine-unavailable` */
  engine(request?: EngineRequest): Promise<TrainingEngine>;
  /** Tries every engine, whatever the settings want. @param measure  asked for the speed of each that is fit */
  describeEngines(measure?: (engine: Engine) => Promise<number>): Promise<readonly RungReport[]>;
  /** How the bytes of WebSockets are masked. */
  describeMasking(): Promise<MaskingReport>;
  /** What a relay says of itself, and its clock. @throws NmktError `bad-settings` for a URL that may not be connected to */
  relayInformation(url: string): Promise<InformationAnswer>;
  /** Tries out what a market needs of a relay. @throws NmktError `bad-settings` for a URL that may not be connected to */
  probeRelay(url: string, options: Pick<ProbeOptions, 'signer' | 'isWriting'>): Promise<ProbeFacts>;
  /** Which of these events a relay says to have (NIP-77); null where it does not say. @throws NmktError `bad-settings` for a URL that may not be connected to */
  storedIds(url: string, ids: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string> | null>;
  openJournal<R>(path: string): Promise<Journal<R>>;
  /** Seals the home into one file. Lock the home first. @throws what backUpHome throws */
  writeBackup(path: string, options: BackupOptions): Promise<BackedUp>;
  /** @throws NmktError `bad-usage` when it cannot be read, `bad-backup` */
  openBackup(path: string): Promise<Backup>;
  /** Unpacks a backup into the home. Lock the home first. @throws what restoreHome throws */
  restoreBackup(backup: Backup, contentKey: Bytes, options: RestoreOptions): Promise<Restored>;
  /** The one value of a file of mode 0600; it is kept out of every output. @throws `unsafe-secret-file`, `bad-settings` */
  readSecret(path: string, namedBy: string): Promise<string>;
  /** A signer for a 32-byte secret (demo, sandbox). */
  signerFor(secret: Bytes): Promise<Signer>;
  startRelay(options: RelayOptions): Promise<RunningRelay>;
  close(): Promise<void>;
}

export interface SignerOptions {
  readonly create: boolean;
  /** Let a bunker know this home, if it does not yet; default: as `create`. */
  readonly connect?: boolean;
  /** Ask for a password; default: yes, where there is a terminal. */
  readonly ask?: boolean;
}

export interface BackupOptions {
  readonly signer: Signer;
  readonly password: string | undefined;
  /** Is the key in the file? */
  readonly hasKey: boolean;
  /** Overwrites a file that is there. */
  readonly isForced: boolean;
  readonly signal: AbortSignal;
  onProgress?(doneBytes: number): void;
}

export interface RestoreOptions {
  /** Replaces what differs, and keeps it aside. */
  readonly isForced: boolean;
  readonly signal: AbortSignal;
}

export interface DepsInput {
  readonly flags: SettingsFlags & { readonly home?: string };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly progress: Progress;
  readonly prompt: Prompt;
  /** Ends what waits for others. */
  readonly signal?: AbortSignal;
}

/** The composition root: the only file that names concrete adapters. @throws `bad-settings`, `unsafe-secret-file` */
export async function createDeps({ flags, env, cwd, progress, prompt, signal }: DepsInput): Promise<Deps> {
  const home = openHome(flags.home ?? defaultHomeDir(env));
  const settings = await loadSettings(flags, env, { cwd, home: home.dir });
  if (settings.wallet) hideWallet(settings.wallet.value);
  const random: RandomBytes = (length) => new Uint8Array(randomBytes(length));
  const network = settings.network.value;
  const opened = new Set<{ close(): Promise<void> }>();
  /** Closed with the rest, unless it is closed before: a process that runs for months keeps nothing of what it is done with. */
  const closing = <T extends { close(): Promise<void> }>(resource: T): T => {
    const close = resource.close.bind(resource);
    resource.close = () => {
      opened.delete(resource);
      return close();
    };
    opened.add(resource);
    return resource;
  };

  const signerFor = async (secret: Bytes): Promise<Signer> => {
    const [{ localSigner }, { formatSecretKey }] = await Promise.all([
      import('./signer.js'),
      import('./config/identifiers.js'),
    ]);
    keepSecret(hex(secret));
    keepSecret(formatSecretKey(secret));
    return localSigner(secret);
  };

  const openBunker = async (address: BunkerAddress, secret: Bytes): Promise<BunkerPort> => {
    const client = await signerFor(secret);
    const { openBunker: open } = await import('./relay/bunker.js');
    const relays = await connectRelays(address.relays, client);
    const timeoutSec = Number(env['NMKT_BUNKER_TIMEOUT']);
    return closing(
      open({
        ...{ relays, client, bunker: address.pubkey, clock: systemClock, random },
        ...(timeoutSec > 0 && { timeoutMs: timeoutSec * 1000 }),
        ...(signal && { signal }),
        onAuthUrl: (url) => progress.warn(`the bunker wants you to approve this at ${url}`),
      }),
    );
  };
  const password = async (): Promise<string | undefined> => {
    if (flags.keyPasswordFile === undefined) return env['NMKT_KEY_PASSWORD'] || undefined;
    const { readPasswordFile } = await import('./config/encrypted-key.js');
    return readPasswordFile(resolve(cwd, flags.keyPasswordFile), '--key-password-file');
  };
  const { createIdentity } = await import('./config/identity.js');
  const identityOf = (key: Sourced<string>): Identity => {
    hideKey(key.value);
    return createIdentity(key, {
      ...{ home, random, prompt, password, openBunker, keepSecret, localSigner: signerFor },
    });
  };
  let own = settings.key && identityOf(settings.key);
  let making: Promise<Signer> | undefined;
  const makeKey = async (): Promise<Signer> => {
    const { createKey } = await import('./config/own-key.js');
    own = identityOf({ value: await createKey(home, random), origin: home.path('key') });
    const made = (await own.open({ connect: true, ask: true }))!;
    const { formatPubkey } = await import('./config/identifiers.js');
    progress.note(`made a new key in ${home.path('key')}: ${formatPubkey(made.pubkey)}`);
    return made;
  };
  async function signer(options: { readonly create: true }): Promise<Signer>;
  async function signer(options: SignerOptions): Promise<Signer | undefined>;
  async function signer({ create, connect = create, ask = true }: SignerOptions) {
    if (own === undefined) return create ? (making ??= makeKey()) : undefined;
    return own.open({ connect, ask });
  }

  const connectRelays = async (urls: readonly string[], as?: Signer): Promise<Relays> => {
    await useWs();
    const pool = await import('./relay/pool.js');
    return closing(
      pool.connectRelays(
        urls.map((url) => pool.checkRelayUrl(url, network)),
        { network, ...(as && { signer: as }) },
      ),
    );
  };
  const connectWallet = async (uri: string): Promise<Wallet> => {
    hideWallet(uri);
    await useWs();
    const nwc = await import('./wallet/nwc.js');
    return closing(await nwc.connectWallet(uri, { network }));
  };
  const openJournal = async <R>(path: string): Promise<Journal<R>> => {
    const file = await import('./journal/file-journal.js');
    return closing(await file.openJournal<R>(path));
  };
  const pools = new Map<string, Promise<Relays>>();
  let wallet: Promise<Wallet> | undefined;

  return {
    clock: systemClock,
    random,
    network,
    settings: () => settings,
    home: () => home,
    async lockedHome() {
      await home.lock();
      return home;
    },
    signer,
    keyReport: async () => own?.report(),
    checkBunker: async () => own?.checkBunker(),
    identityOf,
    async homeSettings() {
      const kept = await homeLayer(home.dir);
      if (kept.wallet) hideWallet(kept.wallet.value);
      if (kept.key) hideKey(kept.key.value);
      return kept;
    },
    keyPassword: password,
    async encryptKey(secret, text) {
      const { encryptKey } = await import('./config/encrypted-key.js');
      return encryptKey(secret, text);
    },
    async relays(urls = settings.relays.value) {
      if (urls.length === 0) throw noRelays();
      const name = urls.join(' ');
      const pool = pools.get(name) ?? signer({ create: false, ask: false }).then((as) => connectRelays(urls, as));
      pools.set(name, pool);
      return pool;
    },
    connectRelays,
    async openDump(path) {
      const { openDump } = await import('./relay/dump-reader.js');
      return closing(await openDump(path));
    },
    async recordDump(path, relays) {
      const { recordDump } = await import('./relay/dump-writer.js');
      const recorder = await recordDump(path, relays);
      opened.add({ close: () => recorder.discard() });
      return recorder;
    },
    async wallet() {
      if (settings.wallet === undefined) return null;
      return (wallet ??= connectWallet(settings.wallet.value));
    },
    connectWallet,
    async stake() {
      if (settings.wallet === undefined) return null;
      hideWallet(settings.wallet.value);
      await useWs();
      const { connectStake } = await import('./wallet/nwc-stake.js');
      return closing(await connectStake(settings.wallet.value));
    },
    async mine(blocks) {
      if (settings.wallet === undefined) return null;
      hideWallet(settings.wallet.value);
      await useWs();
      const { mineBlocks } = await import('./wallet/nwc-mine.js');
      return mineBlocks(settings.wallet.value, blocks);
    },
    async lockFolder(folder, words) {
      const release = await lockFolder(folder, { words });
      opened.add({ close: release });
    },
    async openLedger(path) {
      const ledger = await import('./wallet/ledger.js');
      return ledger.openLedger(await openJournal<LedgerRecord>(path));
    },
    async engine({ accepted, limits, threads } = {}) {
      const { createEngine } = await import('./training/engine.js');
      const want = settings.engine.value;
      return closing(await createEngine({ want, accepted, limits, threads, folder: engineDir(env) }));
    },
    async describeMasking() {
      const { describeMasking } = await import('./relay/masking.js');
      return describeMasking(env);
    },

    async describeEngines(measure) {
      const { describeEngines } = await import('./training/engine.js');
      return describeEngines(measure, { folder: engineDir(env) });
    },
    async relayInformation(url) {
      const [{ fetchInformation }, { checkRelayUrl }] = await Promise.all([
        import('./relay/fetch-information.js'),
        import('./relay/relay-url.js'),
      ]);
      return fetchInformation(checkRelayUrl(url, network), systemClock);
    },
    async probeRelay(url, options) {
      const [{ probeRelay }, { checkRelayUrl }] = await Promise.all([
        import('./relay/probe.js'),
        import('./relay/relay-url.js'),
      ]);
      const [oneTime, stranger] = [await signerFor(random(32)), await signerFor(random(32))];
      const rest = { oneTime, stranger, clock: systemClock, random };
      return probeRelay(checkRelayUrl(url, network), { ...options, ...rest });
    },
    async storedIds(url, ids, signal) {
      await useWs();
      const [{ storedIds }, { checkRelayUrl }] = await Promise.all([
        import('./relay/stored-ids.js'),
        import('./relay/relay-url.js'),
      ]);
      return storedIds(checkRelayUrl(url, network), ids, { clock: systemClock, signal });
    },
    openJournal,
    async writeBackup(path, options) {
      if (options.password !== undefined) keepSecret(options.password);
      const { backUpHome } = await import('./backup/home-backup.js');
      return backUpHome(path, { ...options, home, settings, random, createdAt: systemClock.nowSec() });
    },
    async openBackup(path) {
      const { openBackup } = await import('./backup/read.js');
      return closing(await openBackup(path));
    },
    async restoreBackup(backup, contentKey, options) {
      const { restoreHome } = await import('./backup/home-backup.js');
      return restoreHome(backup, contentKey, { ...options, home, nowSec: systemClock.nowSec() });
    },
    async readSecret(path, namedBy) {
      const { readSecretFile } = await import('./config/secret-file.js');
      const secret = await readSecretFile(resolve(cwd, path), namedBy);
      keepSecret(secret);
      return secret;
    },
    signerFor,
    async startRelay(options) {
      await useWs();
      const { startRelay } = await import('./relay/embedded.js');
      return closing(await startRelay(options));
    },
    async close() {
      for (const resource of [...opened].reverse()) await resource.close().catch(() => undefined);
      opened.clear();
      await home.unlock();
    },
  };
}

/** Node 20 has no WebSocket, and nostr-tools and the NIP-47 client keep the one they find when they load. */
async function useWs(): Promise<void> {
  const { WebSocket } = await import('ws');
  Object.assign(globalThis, { WebSocket });
}

function hideWallet(uri: string): void {
  keepSecret(uri);
  const secret = /[?&]secret=([0-9a-f]{64})/i.exec(uri)?.[1];
  if (secret) keepSecret(secret);
}

/** The whole text, and each line of it that is no comment: errors and libraries quote lines. */
function hideKey(text: string): void {
  keepSecret(text);
  for (const line of text.split('\n')) if (!line.startsWith('#')) keepSecret(line.trim());
}

function noRelays(): NmktError {
  return new NmktError('bad-usage', 'no relay is set', {
    remedy:
      'add --relay wss://… to the command, set it once with nmkt init, or start a private one: nmkt sandbox --dir sb',
    expected: 'at least one relay from --relay, --settings, NMKT_RELAYS, ./nmkt.json or home',
    got: 'none',
  });
}
