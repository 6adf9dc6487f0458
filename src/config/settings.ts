import type { Network } from '../ports.js';
import type { Rung } from '../learning/types.js';

/** Where a value came from, e.g. `--relay`, `NMKT_RELAYS`, `./nmkt.json`, `default`; a path for a settings file. */
export interface Sourced<T> {
  readonly value: T;
  readonly origin: string;
}

export interface Settings {
  readonly relays: Sourced<readonly string[]>;
  /** A NIP-47 connection URI: a secret. */
  readonly wallet: Sourced<string> | undefined;
  readonly network: Sourced<Network>;
  /** 32 bytes: a secret. The key in home counts too. */
  readonly key: Sourced<Uint8Array> | undefined;
  readonly engine: Sourced<Rung | 'auto'>;
}
