import { NmktError } from '../errors.js';
import { hex, type EventId, type Pubkey } from '../hash.js';
import type { EventTemplate, NostrEvent, Signer } from '../ports.js';
import { eventHash, verifyHash } from '../schnorr.js';
import { isNmktError } from '../errors.js';
import { openBunkerLink, type BunkerLink, type BunkerLinkOptions } from './bunker-link.js';

/**
 * A key that stays with somebody else: NIP-46 signing and NIP-44 by a remote signer ("bunker"). What it answers is
 * checked where it can be: an event by its id, author and signature, a payload by its form.
 */
export interface Bunker {
  /** Introduces this client; once per secret. @throws NmktError `bunker-unreachable`, `bunker-refused` */
  connect(secret: string | null): Promise<void>;
  /** Whose key it signs with. @throws NmktError `bad-event` when that is no key */
  userPubkey(): Promise<Pubkey>;
  /** Asks whether it is there. */
  ping(): Promise<void>;
  signerFor(pubkey: Pubkey): Signer;
  close(): Promise<void>;
}

/** Asked for once, so that a person can allow them for good. */
const PERMISSIONS = 'sign_event,nip44_encrypt,nip44_decrypt';

export function openBunker(options: BunkerLinkOptions): Bunker {
  const link = openBunkerLink(options);
  return {
    async connect(secret) {
      await link.ask('connect', [options.bunker, secret ?? '', PERMISSIONS]);
    },
    async userPubkey() {
      const pubkey = await link.ask('get_public_key', []);
      if (/^[0-9a-f]{64}$/.test(pubkey)) return pubkey as Pubkey;
      throw untrue('names something else as its key', '64 lowercase hex characters', `${pubkey.length} characters`);
    },
    async ping() {
      await link.ask('ping', []);
    },
    signerFor: (pubkey) => remoteSigner(link, pubkey),
    close: () => link.close(),
  };
}

function remoteSigner(link: BunkerLink, pubkey: Pubkey): Signer {
  /** Settled once: a bunker that opens a message to itself may decrypt, so what it does not open is not for this key. */
  let decrypts: Promise<boolean> | undefined;
  const mayDecrypt = (): Promise<boolean> => (decrypts ??= opensOwnMessage(link, pubkey));

  return {
    pubkey,
    async sign(template) {
      const { kind, created_at, content } = template;
      const tags = template.tags.map((tag) => [...tag]);
      const answer = await link.ask('sign_event', [JSON.stringify({ kind, created_at, tags, content })]);
      return checkedEvent(answer, { kind, created_at, tags, content }, pubkey);
    },
    async encrypt(peer, plaintext) {
      const payload = await link.ask('nip44_encrypt', [peer, plaintext]);
      const expected = payloadChars(Buffer.byteLength(plaintext));
      if (payload.length === expected && isPayload(payload)) return payload;
      throw untrue(
        'returned something else than a NIP-44 message',
        `${expected} characters`,
        `${payload.length} characters`,
      );
    },
    async decrypt(peer, payload) {
      try {
        return await link.ask('nip44_decrypt', [peer, payload]);
      } catch (error) {
        if (!isNmktError(error, 'bunker-refused') || !(await mayDecrypt())) throw error;
        throw new NmktError('wrong-key', `a NIP-44 message of ${payload.length} characters does not open`, {
          remedy: 'use the key the message was written to; nmkt whoami shows the current one',
          expected: `a message between ${pubkey} and ${peer}`,
          got: error.got ?? 'a refusal',
          cause: error,
        });
      }
    },
  };
}

/** Built from what was asked for; of the answer only the signature is used, and it must be right. */
function checkedEvent(answer: string, template: EventTemplate, pubkey: Pubkey): NostrEvent {
  const hash = eventHash({ ...template, pubkey });
  const id = hex(hash) as EventId;
  const signed = parseSigned(answer);
  if (signed.pubkey !== pubkey) throw untrue('signed with another key', pubkey, signed.pubkey);
  if (signed.id !== id) throw untrue('signed another event than it was asked to', `event ${id}`, signed.id);
  if (!/^[0-9a-f]{128}$/.test(signed.sig) || !verifyHash(hash, signed.sig, pubkey))
    throw untrue('returned a signature that does not verify', `a signature of ${pubkey}`, 'another one');
  return { id, pubkey, ...template, sig: signed.sig };
}

function parseSigned(answer: string): { readonly id: string; readonly pubkey: string; readonly sig: string } {
  const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 128) : typeof value);
  try {
    const { id, pubkey, sig } = JSON.parse(answer) as Record<string, unknown>;
    return { id: text(id), pubkey: text(pubkey), sig: text(sig) };
  } catch {
    throw untrue('returned no event', 'a signed event as JSON', `${answer.length} characters`);
  }
}

async function opensOwnMessage(link: BunkerLink, pubkey: Pubkey): Promise<boolean> {
  const text = 'nmkt';
  try {
    const payload = await link.ask('nip44_encrypt', [pubkey, text]);
    return (await link.ask('nip44_decrypt', [pubkey, payload])) === text;
  } catch (error) {
    if (isNmktError(error, 'bunker-refused')) return false;
    throw error;
  }
}

/** Base64 of version, nonce, length, padded text and MAC. */
function isPayload(payload: string): boolean {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(payload) && Buffer.from(payload.slice(0, 4), 'base64')[0] === 2;
}

/** Characters of a NIP-44 v2 payload over so many bytes of text. */
function payloadChars(bytes: number): number {
  const length = bytes > 65_535 ? 6 : 2;
  return Math.ceil((1 + 32 + length + paddedLength(bytes) + 32) / 3) * 4;
}

/** NIP-44, "Padding": powers of two, in eighths above 256. */
function paddedLength(bytes: number): number {
  if (bytes <= 32) return 32;
  const power = 2 ** (Math.floor(Math.log2(bytes - 1)) + 1);
  const step = power <= 256 ? 32 : power / 8;
  return step * (Math.floor((bytes - 1) / step) + 1);
}

function untrue(deed: string, expected: string, got: string): NmktError {
  return new NmktError('bad-event', `the bunker ${deed}`, {
    expected,
    got,
    remedy: 'do not use this bunker until you know why; nothing it answered was published',
  });
}
