import { NmktError } from '../errors.js';
import type { Bytes, Pubkey } from '../hash.js';
import { parsePubkey, parseSecretKey } from './identifiers.js';
import { checkRelays } from './settings-values.js';

/** What may stand where a key is read: the key itself, the key under a password, or where a remote signer is. */
export type KeyText =
  | { readonly form: 'plain'; readonly secret: Bytes }
  /** NIP-49. `pubkey` is what a comment beside it claims: the text itself does not say whose it is. */
  | { readonly form: 'encrypted'; readonly ncryptsec: string; readonly pubkey: Pubkey | null }
  | ({ readonly form: 'bunker' } & BunkerAddress);

/** NIP-46: `bunker://REMOTE-SIGNER?relay=wss://…&secret=…`. */
export interface BunkerAddress {
  /** The bunker's own key, not the user's. */
  readonly pubkey: Pubkey;
  readonly relays: readonly string[];
  /** For the first connection only. */
  readonly secret: string | null;
}

const MAX_BUNKER_RELAYS = 8;

/**
 * Lines that begin with # are comments. The text itself never gets into an error.
 *
 * @param origin  the flag, variable or file the text came from
 * @throws NmktError `bad-key`
 */
export function parseKeyText(text: string, origin: string): KeyText {
  const lines = text.split('\n').map((line) => line.trim());
  const key = lines.filter((line) => line !== '' && !line.startsWith('#')).join('');
  if (/^bunker:/i.test(key)) return { form: 'bunker', ...parseBunker(key, origin) };
  if (/^(nostr:)?ncryptsec1/i.test(key)) {
    const ncryptsec = key.replace(/^nostr:/i, '').toLowerCase();
    if (/^ncryptsec1[02-9ac-hj-np-z]{100,300}$/.test(ncryptsec))
      return { form: 'encrypted', ncryptsec, pubkey: claimedPubkey(lines) };
    throw malformed(origin, `ncryptsec1… of ${ncryptsec.length} characters`);
  }
  return { form: 'plain', secret: parseSecretKey(key, origin) };
}

function claimedPubkey(lines: readonly string[]): Pubkey | null {
  const npub = lines.map((line) => /^#\s*(npub1\S+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  try {
    return npub === undefined ? null : parsePubkey(npub);
  } catch {
    return null;
  }
}

function parseBunker(text: string, origin: string): BunkerAddress {
  const [, host = '', query = ''] = /^bunker:\/\/([^/?]*)\/?\??(.*)$/i.exec(text) ?? [];
  const fields = new URLSearchParams(query);
  const relays = fields.getAll('relay').slice(0, MAX_BUNKER_RELAYS);
  if (host === '' || relays.length === 0)
    throw malformed(origin, host === '' ? 'no public key in it' : 'no relay in it');
  try {
    return { pubkey: parsePubkey(host), relays: checkRelays(relays, origin), secret: fields.get('secret') };
  } catch (cause) {
    throw malformed(origin, 'a public key or relay that is none', cause);
  }
}

/** The address without its invitation, which is used up by the first connection. */
export function formatBunker({ pubkey, relays }: BunkerAddress): string {
  return `bunker://${pubkey}?${relays.map((url) => `relay=${encodeURIComponent(url)}`).join('&')}`;
}

function malformed(origin: string, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-key', `that is not a private key (${origin})`, {
    expected: 'nsec1…, ncryptsec1…, 64 hex characters, or bunker://PUBKEY?relay=wss://…&secret=…',
    got,
    remedy: 'copy the whole text again',
    cause,
  });
}
