import type { Home } from './config/home.js';
import type { Settings } from './config/settings.js';
import type { Clock, Engine, Journal, Network, RandomBytes, Relays, Signer, Wallet } from './ports.js';
import type { Rung } from './learning/types.js';

export interface EngineRequest {
  /** Rungs the job accepts; absent: any. The participant's own `engine` setting narrows it further. */
  readonly accepted?: readonly Rung[];
  readonly limits?: { readonly maxBytes?: number; readonly maxMinutes?: number };
}

export interface RelayServerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Events are kept here across restarts; absent: in memory only. */
  readonly dir?: string;
}
export interface RelayServer {
  /** `ws://host:port` with the port in use. */
  readonly url: string;
  close(): Promise<void>;
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
   * The participant's key: settings, else home. With `create`, a missing key is made in home (and stderr says so);
   * without, it is `undefined`.
   */
  signer(options: { readonly create: true }): Promise<Signer>;
  signer(options: { readonly create: boolean }): Promise<Signer | undefined>;
  /**
   * A pool over `urls`, or over the relays of the settings (made once). With a key set it answers NIP-42 AUTH.
   * @throws `bad-usage` when there are no relays at all
   */
  relays(urls?: readonly string[]): Promise<Relays>;
  /** A pool of its own for another identity (demo, sandbox, tests); closed with the rest. */
  connectRelays(urls: readonly string[], signer?: Signer): Promise<Relays>;
  /** The wallet of the settings, or null when none is set. */
  wallet(): Promise<Wallet | null>;
  /** The wallet behind a NIP-47 URI (demo, sandbox). */
  connectWallet(uri: string): Promise<Wallet>;
  /** A new training worker. @throws `engine-unavailable` */
  engine(request?: EngineRequest): Promise<Engine>;
  openJournal<R>(path: string): Promise<Journal<R>>;
  /** A signer for a 32-byte secret (demo, sandbox). */
  signerFor(secret: Uint8Array): Promise<Signer>;
  startRelay(options: RelayServerOptions): Promise<RelayServer>;
  close(): Promise<void>;
}
