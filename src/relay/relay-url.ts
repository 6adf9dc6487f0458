import { lookup as resolveName, type LookupAddress } from 'node:dns';
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net';
import { isNmktError, NmktError } from '../errors.js';
import type { Network } from '../ports.js';

/** Which relay URLs may be connected to. A URL from an event must not turn this process into a probe of a private network. */

/** Networks without real money, where relays on this machine are welcome. */
const LOCAL_NETWORKS: ReadonlySet<Network> = new Set(['sandbox', 'regtest', 'simnet']);
const LOCAL_NAMES = /^localhost$|\.(localhost|local|lan|home|internal|intranet|home\.arpa)$/;

/** IANA special-purpose registries (RFC 6890): loopback, private, link-local, shared, documentation, multicast, reserved. */
const SPECIAL = new BlockList();
for (const range of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/3'],
  ...['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16', 'fc00::/7'],
  ...['fe80::/10', 'fec0::/10', 'ff00::/8'],
]) {
  const [address, bits] = range.split('/') as [string, string];
  SPECIAL.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * wss:// to public hosts; ws:// (and wss://) to loopback on networks without real money; nothing else.
 *
 * @returns  the URL in one spelling: lowercase host, no default port, no trailing slash on an empty path
 * @throws   NmktError `bad-settings`
 */
export function checkRelayUrl(url: string, network: Network): string {
  if (url.length > 512 || !URL.canParse(url)) throw bad(url, 'it is not a URL');
  const parsed = new URL(url);
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') throw bad(url, 'it is not a WebSocket URL');
  if (parsed.username !== '' || parsed.password !== '') throw bad(url, 'it holds a name or password');
  if (parsed.hash !== '') throw bad(url, 'it has a fragment');
  const host = hostOf(parsed);
  if (isLoopback(host)) {
    if (!LOCAL_NETWORKS.has(network)) throw bad(url, `relays on this machine are for tests, not for ${network}`);
  } else {
    if (host.split('.').includes('')) throw bad(url, 'its host is no name');
    if (isPrivateHost(host)) throw bad(url, 'its host is a private or reserved address');
    if (parsed.protocol === 'ws:') throw bad(url, 'it is not encrypted');
  }
  return normaliseRelayUrl(url);
}

/**
 * Of a URL that comes from somebody else, not from the user's settings.
 *
 * @param own  the user's relays: where none of them is on this machine, nobody else's is
 * @returns, @throws  as checkRelayUrl
 */
export function checkForeignUrl(url: string, network: Network, own: readonly string[]): string {
  return checkRelayUrl(url, own.some((one) => isLoopback(hostOf(new URL(one)))) ? network : 'bitcoin');
}

/** The same: undefined where it throws. */
export function allowedRelayUrl(url: string, network: Network, own: readonly string[]): string | undefined {
  try {
    return checkForeignUrl(url, network, own);
  } catch (error) {
    if (isNmktError(error)) return undefined;
    throw error;
  }
}

/** One spelling per relay. @throws TypeError when `url` is not one */
export function normaliseRelayUrl(url: string): string {
  const { href, pathname, search } = new URL(url);
  return pathname === '/' && search === '' ? href.replace(/\/$/, '') : href;
}

/**
 * For connections to names: refuses answers that point into private networks, which no look at the URL can see.
 * Loopback hosts need none, they were allowed as such.
 */
export function lookupFor(url: string): LookupFunction | undefined {
  return isLoopback(hostOf(new URL(url))) ? undefined : publicLookup;
}

const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolveName(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const found = addresses?.filter(({ address }) => !isSpecial(address)) ?? [];
    const [first] = found;
    if (error || !first) {
      const reason = error ?? new Error(`${hostname} resolves to private addresses only`);
      callback(reason, '', 0);
    } else if (options.all) callback(null, found);
    else callback(null, first.address, first.family);
  });
};

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isPrivateHost(host: string): boolean {
  if (isIP(host) !== 0) return isSpecial(host);
  // A name without a dot is looked up in the local search domains.
  return LOCAL_NAMES.test(host) || !host.includes('.');
}

function isSpecial(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  // BlockList reads ::ffff:a.b.c.d as the IPv4 address it stands for.
  return SPECIAL.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function bad(url: string, why: string): NmktError {
  const shown = withoutCredentials(url);
  return new NmktError('bad-settings', `the relay ${JSON.stringify(shown)} cannot be used: ${why}`, {
    remedy: 'name a public relay, or start one here with: nmkt relay',
    expected: 'wss://host of a public relay; ws://127.0.0.1:PORT on the networks sandbox, regtest and simnet',
    got: shown,
  });
}

function withoutCredentials(url: string): string {
  return url.slice(0, 100).replace(/^([^/]*\/\/)?[^/]*@/, '$1…@');
}
