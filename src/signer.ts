import { v2 as nip44 } from 'nostr-tools/nip44';
import { conversationKey as agreeOn } from './ecdh.js';
import { NmktError } from './errors.js';
import type { Bytes, Pubkey } from './hash.js';
import type { RandomBytes, Signer } from './ports.js';
import { isValidSecret, publicKey, signEvent } from './schnorr.js';

/** Conversation keys kept; one costs half a millisecond of elliptic curve work. */
const MAX_CACHED_PEERS = 1024;

/**
 * Signs and encrypts (NIP-44 v2) with a key held in this process.
 *
 * @param secret  32 bytes in [1, n)
 * @param random  draws the nonces of NIP-44; default: the system
 * @throws        NmktError `bad-key`
 */
export function localSigner(secret: Bytes, random?: RandomBytes): Signer {
  if (!isValidSecret(secret)) {
    throw new NmktError('bad-key', 'the private key is not a valid secp256k1 scalar', {
      remedy: 'give another key; without one nmkt makes its own',
      expected: '32 bytes in [1, n)',
      got: `${secret.length} bytes`,
    });
  }
  const own = Uint8Array.from(secret);
  const conversationKeys = new Map<Pubkey, Bytes>();

  function conversationKey(peer: Pubkey): Bytes {
    const known = conversationKeys.get(peer);
    if (known) return known;
    const key = agree(own, peer);
    if (conversationKeys.size >= MAX_CACHED_PEERS) conversationKeys.clear();
    conversationKeys.set(peer, key);
    return key;
  }

  const pubkey = publicKey(own);
  return {
    pubkey,
    sign: async (template) => signEvent(template, own, pubkey),
    encrypt: async (peer, plaintext) => nip44.encrypt(plaintext, conversationKey(peer), random?.(32)),
    decrypt: async (peer, payload) => {
      const key = conversationKey(peer);
      try {
        return nip44.decrypt(payload, key);
      } catch (cause) {
        throw new NmktError('wrong-key', `a NIP-44 message of ${payload.length} characters does not open`, {
          remedy: 'use the key the message was written to; nmkt whoami shows the current one',
          expected: `a message between ${pubkey} and ${peer}`,
          got: 'a wrong MAC, version or padding',
          cause,
        });
      }
    },
  };
}

function agree(secret: Bytes, peer: Pubkey): Bytes {
  try {
    return agreeOn(secret, peer);
  } catch (cause) {
    throw new NmktError('bad-key', 'the public key of the peer is not a point of secp256k1', {
      remedy: 'ask the peer for its npub',
      expected: '64 hex characters, an x coordinate on the curve',
      got: peer.slice(0, 64),
      cause,
    });
  }
}
