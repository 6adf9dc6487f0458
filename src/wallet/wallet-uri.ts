import { NmktError } from '../errors.js';
import { fromHex, type Pubkey } from '../hash.js';
import { isValidSecret } from '../schnorr.js';

/** A NIP-47 connection: `nostr+walletconnect://<wallet pubkey>?relay=<url>&secret=<hex>`. */
export interface WalletUri {
  readonly walletPubkey: Pubkey;
  readonly relays: readonly string[];
  /** 64 hex: whoever has it can spend. Never in an error, a log or an event. */
  readonly secret: string;
}

const SCHEME = 'nostr+walletconnect://';
const MAX_LENGTH = 4096;

/** @throws NmktError `bad-settings`, without any part of the URI */
export function parseWalletUri(text: string): WalletUri {
  if (text.length > MAX_LENGTH) throw bad(`at most ${MAX_LENGTH} characters`, `${text.length}`);
  if (/[^!-~]/.test(text)) throw bad('printable ASCII characters only', 'others');
  if (!text.startsWith(SCHEME)) throw bad(`a URI that starts with ${SCHEME}`, 'another scheme');
  const [, pubkey, query] = /^([0-9a-f]{64})\/?\?(.*)$/i.exec(text.slice(SCHEME.length)) ?? [];
  if (pubkey === undefined) throw bad('the public key of the wallet as 64 hex digits, then ?', 'something else');

  const parameters = new URLSearchParams(query);
  const relays = parameters.getAll('relay');
  if (relays.length === 0 || relays.length > 8) throw bad('1 to 8 relay parameters', `${relays.length}`);
  if (!relays.every(isRelayUrl)) throw bad('relays as ws:// or wss:// URLs', 'another kind of address');
  const secrets = parameters.getAll('secret');
  const secret = secrets[0]?.toLowerCase();
  if (secrets.length !== 1 || secret === undefined) throw bad('one secret parameter', `${secrets.length}`);
  if (!/^[0-9a-f]{64}$/.test(secret) || !isValidSecret(fromHex(secret)))
    throw bad('a secret key of 64 hex digits', 'not one');
  return { walletPubkey: pubkey.toLowerCase() as Pubkey, relays, secret };
}

export function formatWalletUri({ walletPubkey, relays, secret }: WalletUri): string {
  const addresses = relays.map((relay) => `relay=${encodeURIComponent(relay)}`).join('&');
  return `${SCHEME}${walletPubkey}?${addresses}&secret=${secret}`;
}

/**
 * Takes out what could spend money or open content: connection URIs, secrets, nsec keys, preimages, ecash tokens.
 * @param known  secrets that may appear bare
 */
export function redact(text: string, known: readonly string[] = []): string {
  const bare = known.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text);
  return bare
    .replace(/nostr\+?walletconnect:(?:\/\/)?[^\s"'<>]*/gi, 'nostr+walletconnect:[redacted]')
    .replace(/\b(secret|preimage|nsec|key)(["']?\s*[=:]\s*["']?)[0-9a-z]{32,}/gi, '$1$2[redacted]')
    .replace(/\bnsec1[0-9a-z]{20,}/gi, '[redacted]')
    .replace(/\bcashu[AB][0-9a-z_\-=]{20,}/gi, '[redacted]');
}

function isRelayUrl(text: string): boolean {
  try {
    const { protocol, username, password } = new URL(text);
    return (protocol === 'ws:' || protocol === 'wss:') && username === '' && password === '';
  } catch {
    return false;
  }
}

function bad(expected: string, got: string): NmktError {
  return new NmktError('bad-settings', 'the wallet connection is not usable', {
    remedy: 'copy it again from the wallet and set it in NMKT_WALLET or a file of mode 0600 (--wallet-file)',
    expected,
    got,
  });
}
