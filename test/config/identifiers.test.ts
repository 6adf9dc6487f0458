import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { naddrEncode, noteEncode, nprofileEncode } from 'nostr-tools/nip19';
import { describe, expect, it } from 'vitest';
import {
  formatEventId,
  formatPubkey,
  formatSecretKey,
  parseEventReference,
  parsePubkey,
  parseSecretKey,
} from '../../src/config/identifiers.js';
import type { EventId, Pubkey } from '../../src/hash.js';

/** From NIP-19's own examples. */
const npub = 'npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg';
const npubHex = '7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e';
const nsec = 'nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5';
const nsecHex = '67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa';
const id = 'ab'.repeat(32) as EventId;

describe('identifiers', () => {
  it('reads people from npub, nprofile and hex, with or without nostr:', () => {
    const nprofile = nprofileEncode({ pubkey: npubHex, relays: ['wss://relay.example'] });
    for (const text of [npub, nprofile, npubHex, npubHex.toUpperCase(), `nostr:${npub}`, ` ${npub}\n`])
      expect(parsePubkey(text)).toBe(npubHex);
    expect(formatPubkey(npubHex as Pubkey)).toBe(npub);
  });

  it('reads private keys from nsec and hex', () => {
    expect(Buffer.from(parseSecretKey(nsec, 'test')).toString('hex')).toBe(nsecHex);
    expect(formatSecretKey(parseSecretKey(nsecHex, 'test'))).toBe(nsec);
  });

  it('reads events from hex, note, nevent and naddr, and keeps relay hints', () => {
    expect(parseEventReference(id)).toEqual({ type: 'id', id, relays: [] });
    expect(parseEventReference(noteEncode(id))).toEqual({ type: 'id', id, relays: [] });
    const nevent = formatEventId(id, ['wss://relay.example'], npubHex as Pubkey);
    expect(parseEventReference(nevent)).toEqual({ type: 'id', id, relays: ['wss://relay.example'], author: npubHex });
    const naddr = naddrEncode({ kind: 30000, pubkey: npubHex, identifier: 'd', relays: ['https://no.example'] });
    expect(parseEventReference(naddr)).toEqual({
      type: 'address',
      kind: 30000,
      author: npubHex,
      identifier: 'd',
      relays: [],
    });
  });

  it('refuses identifiers of another length than 32 bytes, which the library takes', () => {
    const short = (prefix: string) => bech32.encode(prefix, bech32.toWords(new Uint8Array(20).fill(7)));
    const code = 'bad-key';
    expect(thrownBy(() => parsePubkey(short('npub')))).toMatchObject({ code });
    expect(thrownBy(() => parseEventReference(short('note')))).toMatchObject({ code });
    expect(thrownBy(() => parseSecretKey(short('nsec'), 'a test'))).toMatchObject({ code });
  });

  it('refuses everything else with bad-key, and never repeats what may be a private key', () => {
    for (const read of [parseEventReference, parsePubkey]) {
      const error = thrownBy(() => read(nsec));
      expect(error).toMatchObject({ code: 'bad-key', got: 'a private key (nsec1…)' });
      expect(JSON.stringify(error) + error.message).not.toContain(nsec);
    }
    const broken = `${nsec.slice(0, -1)}q`;
    expect(thrownBy(() => parseSecretKey(broken, 'NMKT_KEY'))).toMatchObject({ code: 'bad-key' });
    expect(thrownBy(() => parseSecretKey('0'.repeat(64), 'NMKT_KEY')).message).toContain('NMKT_KEY');
    expect(thrownBy(() => parsePubkey('n'.repeat(5001)))).toMatchObject({ code: 'bad-key', got: '5001 characters' });
  });

  it('answers any text with a value or bad-key', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^(npub|nsec|note|nevent|naddr)1[a-z0-9]{0,80}$/)),
        (text) => {
          for (const read of [parseEventReference, parsePubkey, (secret: string) => parseSecretKey(secret, 'test')]) {
            try {
              read(text);
            } catch (error) {
              expect(error).toMatchObject({ code: 'bad-key' });
            }
          }
        },
      ),
    );
  });
});

function thrownBy(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
