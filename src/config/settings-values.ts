import { NmktError } from '../errors.js';
import type { Rung } from '../learning/types.js';
import type { Network } from '../ports.js';

/** One check per setting, wherever its value came from; `where` names that place in the error. All throw `bad-settings`. */

export const networks = ['sandbox', 'regtest', 'simnet', 'signet', 'testnet', 'bitcoin'] as const satisfies Network[];
export const engines = ['auto', 'node', 'webgpu', 'wasm', 'cpu'] as const satisfies (Rung | 'auto')[];

/** WebSocket URLs without credentials; in the given order, each once. */
export function checkRelays(value: unknown, where: string): readonly string[] {
  const expected = 'relay URLs such as wss://relay.example';
  if (!Array.isArray(value)) throw unusable('relays', where, expected, typeof value);
  if (value.length > 64) throw unusable('relays', where, 'at most 64 relays', String(value.length));
  const urls = value.map((url: unknown) => {
    if (typeof url !== 'string' || !isRelayUrl(url)) throw unusable('relays', where, expected, shown(url));
    return url;
  });
  return [...new Set(urls)];
}

export function checkNetwork(value: unknown, where: string): Network {
  return oneOf(networks, value, 'network', where);
}

export function checkEngine(value: unknown, where: string): Rung | 'auto' {
  return oneOf(engines, value, 'engine', where);
}

/** A NIP-47 connection URI; its value is a secret and never shown. */
export function checkWallet(value: unknown, where: string): string {
  const text = typeof value === 'string' ? value.trim() : '';
  if (/^nostr\+walletconnect:(\/\/)?[0-9a-f]{64}\?/i.test(text)) return text;
  throw unusable('wallet', where, 'nostr+walletconnect://PUBKEY?relay=…&secret=…', 'something else');
}

/** @param value  a number, or one as text */
export function checkSats(value: unknown, name: string, where: string): number {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value.trim()) ? Number(value) : value;
  if (Number.isSafeInteger(number) && (number as number) >= 0 && (number as number) <= 21e14) return number as number;
  throw unusable(name, where, 'sats, a whole number', shown(value));
}

export function checkKey(value: unknown, where: string): string {
  if (typeof value === 'string' && value.trim() !== '') return value.trim();
  throw unusable('key', where, 'nsec1…, ncryptsec1…, bunker://… or 64 hex characters', typeof value);
}

function isRelayUrl(text: string): boolean {
  if (text.length > 512 || !URL.canParse(text)) return false;
  const url = new URL(text);
  return /^wss?:$/.test(url.protocol) && url.hostname !== '' && url.username === '' && url.password === '';
}

function oneOf<T extends string>(allowed: readonly T[], value: unknown, name: string, where: string): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw unusable(name, where, `one of ${allowed.join(', ')}`, shown(value));
}

/** Short, and without credentials that a mistyped URL may carry. */
function shown(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? kindOf(value) : String(value);
  return text.slice(0, 80).replace(/\/\/[^/@]*@/, '//…@') || 'nothing';
}

function kindOf(value: object): string {
  return Array.isArray(value) ? 'a list' : 'an object';
}

function unusable(name: string, where: string, expected: string, got: string): NmktError {
  const message = `${where}: ${name} is not usable`;
  return new NmktError('bad-settings', message, { remedy: `correct ${name} in ${where}`, expected, got });
}
