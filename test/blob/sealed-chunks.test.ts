import { describe, expect, it } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { fetchSealedChunks, openSealedChunks } from '../../src/blob/sealed-chunks.js';
import { MissingChunks } from '../../src/blob/download.js';
import { sha256, type EventId } from '../../src/hash.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { noise } from './samples.js';

/** A blob that is here before its key is. */

const [key, context] = [sha256('key'), sha256('context')];
const plain = noise(130_000);
const blob = sealBlob(plain, {
  ...{ key, context, uploadSecret: sha256('upload'), part: 0, inline: 'never' },
  ...{ baseTimeSec: 1_700_000_000, expirationSec: 1_900_000_000 },
});
const ids = blob.events.slice(0, blob.pointer.chunks).map(({ id }) => id);
const place = { context, part: 0 };
const open = { ...place, key, maxBytes: plain.length };

async function stored(which = blob.events) {
  const client = memoryNetwork(['wss://one.example']).relays();
  for (const event of which) await client.publish(event);
  return client;
}

describe('a blob fetched before its key is known', () => {
  it('opens later, without relays and without its index', async () => {
    expect(blob.pointer.chunks).toBe(3);
    const sealed = await fetchSealedChunks(await stored(), blob.pointer, ids, place);
    expect(new Uint8Array(openSealedChunks(sealed, blob.pointer, open))).toEqual(plain);
  });

  it('is refused when a chunk is gone, another one, or in another place', async () => {
    const fetch = async (which: typeof blob.events, of: readonly EventId[]) =>
      fetchSealedChunks(await stored(which), blob.pointer, of, place);
    await expect(fetch(blob.events.slice(1), ids)).rejects.toThrow(MissingChunks);
    await expect(fetch(blob.events, [...ids].reverse())).rejects.toMatchObject({ code: 'hash-mismatch' });
    await expect(fetch(blob.events, ids.slice(1))).rejects.toMatchObject({ code: 'bad-blob' });
  });

  it('opens with its own key only, and not after a bit has changed', async () => {
    const sealed = await fetchSealedChunks(await stored(), blob.pointer, ids, place);
    expect(() => openSealedChunks(sealed, blob.pointer, { ...open, key: sha256('other') })).toThrow(/key/);
    expect(() => openSealedChunks(sealed, blob.pointer, { ...open, maxBytes: 100 })).toThrow(/bytes/);
    sealed[70_000]! ^= 1;
    expect(() => openSealedChunks(sealed, blob.pointer, open)).toThrow(/Merkle root/);
  });
});
