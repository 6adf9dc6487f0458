import { NmktError } from '../errors.js';
import type { Schnorr } from './curve.js';
import { libraryNames, loadLibsecp256k1 } from './libsecp256k1.js';
import { loadNoble } from './noble.js';
import { selfTest } from './self-test.js';
import { loadTiny } from './wasm.js';

/** The chain of implementations: the first that loads and passes its self-test signs and verifies everything. */

/** As `NMKT_SCHNORR` names them. */
export const PROVIDERS = ['native', 'wasm', 'noble'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

export interface ProviderReport {
  readonly provider: ProviderName;
  readonly isUsable: boolean;
  /** Why not. */
  readonly reason: string;
}

const loaders: Readonly<Record<ProviderName, () => Schnorr>> = {
  native: () => {
    const named = process.env['NMKT_LIBSECP256K1'];
    return loadLibsecp256k1(named === undefined || named === '' ? libraryNames(process.platform) : [named]);
  },
  wasm: loadTiny,
  noble: loadNoble,
};

/** @throws Error when it is absent or fails its self-test */
export function loadProvider(name: ProviderName): Schnorr {
  const schnorr = loaders[name]();
  selfTest(schnorr);
  return schnorr;
}

let used: Schnorr | undefined;

/**
 * The one in use, chosen at the first call.
 *
 * @throws NmktError `bad-settings` when `NMKT_SCHNORR` names one that is unknown or not here
 */
export function provider(): Schnorr {
  return (used ??= choose(process.env['NMKT_SCHNORR']));
}

/** @param wanted  a name of the chain; `auto` and nothing take the first that is here */
export function choose(wanted: string | undefined): Schnorr {
  const isAny = wanted === undefined || wanted === '' || wanted === 'auto';
  const names = PROVIDERS.filter((name) => isAny || name === wanted);
  const reasons: string[] = [];
  for (const name of names) {
    try {
      return loadProvider(name);
    } catch (error) {
      reasons.push(`${name}: ${reasonOf(error)}`);
    }
  }
  throw new NmktError('bad-settings', 'the wanted implementation of Schnorr signatures cannot be used', {
    remedy: 'unset NMKT_SCHNORR, or install it: the package of libsecp256k1 of your system, at least version 0.2',
    expected: `one of auto, ${PROVIDERS.join(', ')}`,
    got: reasons.join('; ') || `NMKT_SCHNORR ${String(wanted)}`,
  });
}

/** @throws NmktError as `provider` */
export function providerInUse(): ProviderName {
  const { name } = provider();
  return name === 'libsecp256k1' ? 'native' : name === 'noble' ? 'noble' : 'wasm';
}

/** All of the chain, tried. */
export function providerReports(): readonly ProviderReport[] {
  return PROVIDERS.map((name) => {
    try {
      loadProvider(name);
      return { provider: name, isUsable: true, reason: '' };
    } catch (error) {
      return { provider: name, isUsable: false, reason: reasonOf(error) };
    }
  });
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!.slice(0, 200);
}
