import { NmktError } from '../errors.js';
import type { Rung } from '../learning/types.js';
import type { Layer, Settings, Sourced } from '../config/settings.js';
import type { Network } from '../ports.js';

/** Which settings a home gets: what it has stays, unless something else is asked for by name. Pure. */

export interface Choices {
  readonly relays?: readonly string[];
  readonly network?: Network;
  readonly engine?: Rung | 'auto';
  /** NIP-47 URI; null takes the wallet away. */
  readonly wallet?: string | null;
}

export type Field = 'relays' | 'network' | 'engine' | 'wallet';

/** Values of the command line, a named settings file or the environment, with where they came from. */
export interface Given {
  readonly relays?: Sourced<readonly string[]>;
  readonly network?: Sourced<Network>;
  readonly engine?: Sourced<Rung | 'auto'>;
  readonly wallet?: Sourced<string>;
  readonly key?: Sourced<string>;
}

/** @param homeFiles  origins that are the home itself; a project's ./nmkt.json is no choice for a home either */
export function givenIn(settings: Settings, homeFiles: readonly string[]): Given {
  const isGiven = ({ origin }: Sourced<unknown>): boolean =>
    origin !== 'default' && origin !== './nmkt.json' && !homeFiles.includes(origin);
  const { relays, network, engine, wallet, key } = settings;
  return {
    ...(isGiven(relays) && { relays }),
    ...(isGiven(network) && { network }),
    ...(isGiven(engine) && { engine }),
    ...(wallet && isGiven(wallet) && { wallet }),
    ...(key && isGiven(key) && { key }),
  };
}

/**
 * What changes: a value that the home lacks, and one that is asked for by name (`isAsked`) and differs.
 *
 * @returns the new values, and those that were given and left alone
 */
export function changesFor(
  kept: Layer,
  given: Given,
  isAsked: (origin: string) => boolean,
): { readonly changes: Choices; readonly passedOver: readonly (readonly [field: Field, origin: string])[] } {
  const changes: Record<string, unknown> = {};
  const passedOver: (readonly [Field, string])[] = [];
  for (const field of ['relays', 'network', 'engine', 'wallet'] as const) {
    const wanted = given[field];
    const now = kept[field];
    if (wanted === undefined || isEqual(wanted.value, now?.value)) continue;
    if (now === undefined || isAsked(wanted.origin)) changes[field] = wanted.value;
    else passedOver.push([field, wanted.origin]);
  }
  return { changes, passedOver };
}

export function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Where nobody can be asked. @throws NmktError `bad-usage` naming every flag that is needed */
export function requireEnough({
  hasKey,
  isNewKey,
  hasRelays,
}: {
  readonly hasKey: boolean;
  readonly isNewKey: boolean;
  readonly hasRelays: boolean;
}): void {
  if (hasKey && hasRelays) return;
  const needed = [
    ...(hasKey ? [] : ['--key-file FILE (or NMKT_KEY), or --new-key']),
    ...(hasRelays ? [] : ['--relay URL (or NMKT_RELAYS)']),
  ];
  throw new NmktError('bad-usage', 'this home is not set up, and there is no terminal to ask on', {
    expected: needed.join('; '),
    got: 'nothing',
    remedy: [
      'nmkt init',
      ...(hasKey && !isNewKey ? [] : ['--new-key']),
      ...(hasRelays ? [] : ['--relay wss://relay.example']),
    ].join(' '),
  });
}
