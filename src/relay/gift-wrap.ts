import { NmktError } from '../errors.js';
import { hex, type Bytes, type Pubkey } from '../hash.js';
import type { EventTemplate, NostrEvent, RandomBytes, Signer } from '../ports.js';
import { eventHash, hasValidSignature, isValidSecret } from '../schnorr.js';
import { localSigner } from '../signer.js';
import { parseRumor, parseSignedEvent, type Rumor } from './event-shape.js';
import { GIFT_WRAP, SEAL } from './kinds.js';

/** NIP-59: rumor (unsigned) inside a seal (kind 13, signed by the author) inside a gift wrap (kind 1059, one-time key). */

/** UTF-8 bytes. NIP-44 pads twice: one byte more makes a wrap of 66,045 bytes, which strfry's default refuses. */
export const MAX_RUMOR_BYTES = 28_672;
/** Characters of a wrap's content and bytes of a seal's JSON: what the largest rumor needs, rounded up. */
const MAX_WRAP_CONTENT = 65_536;
const MAX_SEAL_BYTES = 49_152;

/** NIP-59: seal and wrap are dated up to two days back. */
const MAX_BACKDATE_SEC = 2 * 24 * 60 * 60;

/**
 * @param random  draws the one-time key, its nonce and both timestamps
 * @param nowSec  the rumor's own `created_at`, unix seconds
 * @throws        NmktError `too-large` above MAX_RUMOR_BYTES of rumor JSON
 */
export async function wrapRumor(
  { kind, content, tags }: Pick<EventTemplate, 'kind' | 'content' | 'tags'>,
  signer: Signer,
  recipient: Pubkey,
  random: RandomBytes,
  nowSec: number,
): Promise<NostrEvent> {
  const unsigned = { pubkey: signer.pubkey, created_at: nowSec, kind, tags, content };
  const rumor = JSON.stringify({ id: hex(eventHash(unsigned)), ...unsigned });
  limit('rumor', Buffer.byteLength(rumor), MAX_RUMOR_BYTES);

  const seal = await signer.sign({
    kind: SEAL,
    created_at: nowSec - backdate(random),
    tags: [],
    content: await signer.encrypt(recipient, rumor),
  });
  const oneTime = localSigner(freshSecret(random), random);
  return oneTime.sign({
    kind: GIFT_WRAP,
    created_at: nowSec - backdate(random),
    tags: [['p', recipient]],
    content: await oneTime.encrypt(recipient, JSON.stringify(seal)),
  });
}

/**
 * Opens a gift wrap written to `signer` and proves its author: the seal is signed by the key the rumor names.
 *
 * @throws NmktError `too-large` before any decryption, `wrong-key`, or `bad-event` naming the broken rule
 */
export async function unwrapRumor(wrap: NostrEvent, signer: Signer): Promise<Rumor> {
  limit('gift wrap content', wrap.content.length, MAX_WRAP_CONTENT);
  if (wrap.kind !== GIFT_WRAP) throw bad('a gift wrap has another kind', `kind ${GIFT_WRAP}`, `kind ${wrap.kind}`);

  const sealJson = await signer.decrypt(wrap.pubkey, wrap.content);
  limit('seal', Buffer.byteLength(sealJson), MAX_SEAL_BYTES);
  const seal = parseSignedEvent(parseJson(sealJson, 'seal'));
  if (seal.kind !== SEAL) throw bad('a seal has another kind', `kind ${SEAL}`, `kind ${seal.kind}`);
  if (seal.tags.length > 0) throw bad('a seal has tags', 'no tags', `${seal.tags.length} tags`);
  if (!hasValidSignature(seal)) throw bad('a seal is not signed by its author', 'a valid id and signature', seal.id);

  const rumorJson = await signer.decrypt(seal.pubkey, seal.content);
  limit('rumor', Buffer.byteLength(rumorJson), MAX_RUMOR_BYTES);
  const rumor = parseRumor(parseJson(rumorJson, 'rumor'));
  // Without this check anybody could seal a rumor that names somebody else as its author.
  if (rumor.pubkey !== seal.pubkey) throw bad('a rumor names another author than its seal', seal.pubkey, rumor.pubkey);
  const id = hex(eventHash(rumor));
  if (rumor.id !== id) throw bad('the id of a rumor is not its hash', id, rumor.id);
  return rumor;
}

function backdate(random: RandomBytes): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) % MAX_BACKDATE_SEC;
}

function freshSecret(random: RandomBytes): Bytes {
  for (;;) {
    const secret = random(32);
    if (isValidSecret(secret)) return secret;
  }
}

function limit(what: string, size: number, max: number): void {
  if (size <= max) return;
  throw new NmktError('too-large', `a ${what} is larger than a relay event can carry`, {
    remedy: 'split the content into several messages',
    expected: `at most ${max} bytes`,
    got: `${size} bytes`,
  });
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NmktError('bad-event', `a ${what} is not JSON`, {
      remedy: 'ask its author to send it again',
      expected: 'an event as JSON',
      got: `${text.length} characters`,
      cause,
    });
  }
}

function bad(message: string, expected: string, got: string): NmktError {
  return new NmktError('bad-event', message, { remedy: 'ask its author to send it again', expected, got });
}
