import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256, sha256Hex, type Bytes, type EventId } from '../../src/hash.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { sealBlob, type BlobPointer, type SealOptions } from '../../src/blob/blob.js';
import { fromBase64, toBase64 } from '../../src/blob/chunk.js';
import { downloadBlob, uploadBlob, verifyStored } from '../../src/blob/transfer.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { KEY, OPTIONS, answering, flip, noise, noisePackedTo } from './samples.js';

const fixed = (size: number) => ({ first: size, min: size, max: size });
const URLS = ['wss://a.example', 'wss://b.example'] as const;
const READ = { key: KEY, context: OPTIONS.context, part: OPTIONS.part, maxBytes: 8_000_000 };
const withCode = (code: string, rest: object = {}) => expect.objectContaining({ code, ...rest }) as Error;

async function stored(bytes: Bytes, options: Partial<SealOptions> = {}) {
  const network = memoryNetwork(URLS);
  const relays = network.relays();
  const sealed = sealBlob(bytes, { ...OPTIONS, inline: 'never', ...options });
  await uploadBlob(relays, sealed.events);
  return { network, relays, ...sealed };
}

/** Relays that answer `from` with the content of `to`. */
function swapping(relays: Relays, from: string, content: string): Relays {
  return answering(relays, (events) => events.map((event) => (event.id === from ? { ...event, content } : event)));
}

/** Publishing answers what `answer` says, and counts. */
function publishing(
  urls: readonly string[],
  answer: (url: string, nth: number) => 'stored' | 'refused' | 'unreachable',
) {
  const sent = new Map<string, number>(urls.map((url) => [url, 0]));
  let inFlight = 0;
  let most = 0;
  const relays: Relays = {
    ...memoryNetwork(urls).relays(),
    urls,
    publish: async (_event, to = urls) => {
      most = Math.max(most, ++inFlight);
      await new Promise(setImmediate);
      inFlight--;
      return to.map((relay) => {
        sent.set(relay, sent.get(relay)! + 1);
        return { relay, state: answer(relay, sent.get(relay)!), message: 'blocked: chunks' };
      });
    },
  };
  return { relays, sent, most: () => most };
}

describe('a blob over relays', () => {
  test.each([1, 24_000, 24_001, 48_000, 48_001, 96_000, 96_001, 144_000])(
    'comes back whole when it packs to %i bytes',
    async (packed) => {
      const bytes = packed === 1 ? new Uint8Array(0) : noisePackedTo(packed);
      const { relays, pointer } = await stored(bytes);
      expect(pointer.packed).toBe(packed);
      expect(Buffer.compare(await downloadBlob(relays, pointer, READ), bytes)).toBe(0);
    },
  );

  test('comes back whole at any size, inline or not', async () => {
    const relays = memoryNetwork(URLS).relays();
    await fc.assert(
      fc.asyncProperty(fc.nat(120_000), fc.constantFrom('allow', 'never'), async (length, inline) => {
        const sealed = sealBlob(noise(length), { ...OPTIONS, inline });
        await uploadBlob(relays, sealed.events);
        const got = await downloadBlob(relays, sealed.pointer, { ...READ, inline: sealed.inline });
        expect(Buffer.compare(got, noise(length))).toBe(0);
      }),
      { numRuns: 12 },
    );
  });

  test('of more than one index chunk and many batches comes back whole, in order, counted', async () => {
    const bytes = noise(751 * 48_000 - 20_000);
    const sealed = sealBlob(bytes, OPTIONS);
    expect([sealed.pointer.chunks, sealed.pointer.ids.length]).toEqual([751, 2]);
    const byId = new Map<string, NostrEvent>(sealed.events.map((event) => [event.id, event]));
    const asked: number[] = [];
    const relays: Relays = {
      ...memoryNetwork(URLS).relays(),
      urls: URLS,
      fetch: async ([filter], options) => {
        asked.push(filter!.ids!.length);
        return { events: filter!.ids!.map((id) => byId.get(id)!).reverse(), answered: options!.relays!, silent: [] };
      },
    };
    const progress: number[] = [];
    const onProgress = (done: number) => progress.push(done);
    const got = await downloadBlob(relays, sealed.pointer, { ...READ, maxBytes: bytes.length, onProgress });
    expect(Buffer.compare(got, bytes)).toBe(0);
    expect(progress).toEqual(Array.from({ length: 751 }, (_, at) => at + 1));
    expect(Math.max(...asked)).toBe(64);
    expect(asked.reduce((sum, count) => sum + count)).toBe(753); // each event asked for once, of one relay
  });

  test('survives the loss of all relays but one', async () => {
    const { network, relays, pointer } = await stored(noise(200_000));
    network.setDown(URLS[0], true);
    expect(Buffer.compare(await downloadBlob(relays, pointer, READ), noise(200_000))).toBe(0);
  });

  test('is put together from relays that hold different halves', async () => {
    const network = memoryNetwork(URLS);
    const relays = network.relays();
    const { events, pointer } = sealBlob(noise(400_000), OPTIONS);
    for (const [at, event] of events.entries()) await relays.publish(event, [URLS[at % 2]!]);
    expect(Buffer.compare(await downloadBlob(relays, pointer, READ), noise(400_000))).toBe(0);
  });
});

describe('downloading', () => {
  test('refuses any flipped byte of any chunk, data or index', async () => {
    const { relays, pointer, events } = await stored(noise(100_000));
    await fc.assert(
      fc.asyncProperty(fc.nat(events.length - 1), fc.nat(48_027), fc.nat(7), async (which, at, bit) => {
        const { id, content } = events[which]!;
        const changed = toBase64(flip(fromBase64(content, 48_028), at, bit));
        const error = await downloadBlob(swapping(relays, id, changed), pointer, READ).catch((e: unknown) => e);
        expect(error).toEqual(withCode(which < pointer.chunks ? 'hash-mismatch' : 'bad-blob'));
      }),
      { numRuns: 25 },
    );
  });

  test('refuses a chunk in the place of another', async () => {
    const { relays, pointer, events } = await stored(noise(100_000));
    const swapped = swapping(relays, events[0]!.id, events[1]!.content);
    await expect(downloadBlob(swapped, pointer, READ)).rejects.toThrow(withCode('hash-mismatch'));
    const dataAsIndex = swapping(relays, pointer.ids[0]!, events[0]!.content);
    await expect(downloadBlob(dataAsIndex, pointer, READ)).rejects.toThrow(withCode('bad-blob'));
  });

  test('refuses a pointer that cuts chunks off or names another index', async () => {
    const { relays, pointer } = await stored(noise(140_000));
    const other = await stored(noise(140_000, 'other'));
    await uploadBlob(relays, other.events);
    const fewer: BlobPointer = { ...pointer, chunks: 2, packed: 96_000 };
    await expect(downloadBlob(relays, fewer, READ)).rejects.toThrow(withCode('bad-blob'));
    const index = { ...pointer, ids: other.pointer.ids };
    await expect(downloadBlob(relays, index, READ)).rejects.toThrow(withCode('hash-mismatch'));
    const root = { ...pointer, root: other.pointer.root };
    await expect(downloadBlob(relays, root, READ)).rejects.toThrow(withCode('hash-mismatch'));
    const content = { ...pointer, sha256: other.pointer.sha256 };
    await expect(downloadBlob(relays, content, READ)).rejects.toThrow(withCode('hash-mismatch'));
  });

  test('refuses a replay as another part or in another context', async () => {
    for (const length of [10, 100_000]) {
      const { relays, pointer } = await stored(noise(length));
      await expect(downloadBlob(relays, pointer, { ...READ, part: 8 })).rejects.toThrow(withCode('bad-blob'));
      const context = sha256('other');
      await expect(downloadBlob(relays, pointer, { ...READ, context })).rejects.toThrow(withCode('bad-blob'));
    }
  });

  test('refuses events of another kind and content that is no chunk', async () => {
    const { relays, pointer, events } = await stored(noise(100));
    const kind = answering(relays, (all) => all.map((event) => ({ ...event, kind: 1 })));
    await expect(downloadBlob(kind, pointer, READ)).rejects.toThrow(withCode('bad-blob'));
    for (const content of ['', 'hello', `${events[0]!.content}AAAA`, events[0]!.content.replace(/.$/, '!')]) {
      const wrong = swapping(relays, events[0]!.id, content);
      await expect(downloadBlob(wrong, pointer, READ)).rejects.toThrow(withCode('bad-blob'));
    }
  });

  test('checks key and sizes before it asks any relay or allocates', async () => {
    const { relays, pointer } = await stored(noise(1000));
    const untouched: Relays = { ...relays, urls: URLS, fetch: () => Promise.reject(new Error('asked')) };
    const key = sha256('second trainer');
    await expect(downloadBlob(untouched, pointer, { ...READ, key })).rejects.toThrow(
      withCode('wrong-key', { expected: `key commitment ${pointer.commit}` }),
    );
    const huge = { ...pointer, size: 10_000_000_000 }; // more than one buffer can hold: allocating would be a RangeError
    await expect(downloadBlob(untouched, huge, READ)).rejects.toThrow(withCode('too-large'));
    const packed = 10_000_000_000;
    const chunks = Math.ceil(packed / 48_000);
    const ids = Array.from({ length: Math.ceil(chunks / 750) }, (_, at) => sha256Hex(String(at)) as string as EventId);
    const wide = { ...pointer, packed, chunks, ids };
    await expect(downloadBlob(untouched, wide, READ)).rejects.toThrow(withCode('bad-blob'));
    await expect(downloadBlob(untouched, { ...wide, size: packed }, READ)).rejects.toThrow(withCode('too-large'));
  });

  test('stops a stream that grows past its declared size', async () => {
    const { relays, pointer } = await stored(new Uint8Array(50_000_000));
    const lie = { ...pointer, size: 1_000_000 };
    await expect(downloadBlob(relays, lie, READ)).rejects.toThrow(withCode('bad-blob'));
  });

  test('needs the sealed bytes when the pointer says inline', async () => {
    const { pointer } = sealBlob(noise(10), OPTIONS);
    await expect(downloadBlob(memoryNetwork().relays(), pointer, READ)).rejects.toThrow(withCode('bad-blob'));
  });

  test('names how many chunks are missing, and who answered', async () => {
    const network = memoryNetwork(URLS);
    const relays = network.relays();
    const { events, pointer } = sealBlob(noise(400_000), OPTIONS);
    for (const event of events.slice(2)) await relays.publish(event);
    await expect(downloadBlob(relays, pointer, READ)).rejects.toThrow(
      withCode('relay-unreachable', {
        message: `2 of ${pointer.chunks} data chunks were found on no relay`,
        remedy: expect.stringContaining('expired or were deleted'),
      }),
    );
    network.setDown(URLS[1], true);
    await expect(downloadBlob(relays, pointer, READ)).rejects.toThrow(
      withCode('relay-unreachable', { got: expect.stringContaining('silent: wss://b.example') }),
    );
    network.setDown(URLS[0], true);
    await expect(downloadBlob(relays, pointer, READ)).rejects.toThrow(
      withCode('relay-unreachable', { message: '1 of 1 index chunks were found on no relay' }),
    );
  });

  test('asks again after a relay went away in the middle', async () => {
    const { relays, pointer } = await stored(noise(7_000_000));
    let asked = 0;
    const shaky: Relays = {
      ...relays,
      urls: [URLS[0]],
      fetch: async (filters, options) => {
        const isAway = ++asked === 3 || asked === 4;
        return isAway ? { events: [], answered: [], silent: [URLS[0]] } : relays.fetch(filters, options);
      },
    };
    expect(Buffer.compare(await downloadBlob(shaky, pointer, READ), noise(7_000_000))).toBe(0);
  });

  test('ends when it is stopped, even while a relay keeps silent', async () => {
    const { relays, pointer } = await stored(noise(1000));
    const stop = new AbortController();
    const deaf: Relays = { ...relays, urls: URLS, fetch: () => new Promise(() => setImmediate(() => stop.abort())) };
    const options = { ...READ, signal: stop.signal };
    await expect(downloadBlob(deaf, pointer, options)).rejects.toThrow(withCode('interrupted'));
    await expect(downloadBlob(relays, pointer, options)).rejects.toThrow(withCode('interrupted'));
  });
});

describe('uploading', () => {
  const events = sealBlob(noise(4_000_000), OPTIONS).events; // 84 of data, one index

  test('keeps at most a window in flight and tells what each relay took', async () => {
    const { relays, most } = publishing(URLS, () => 'stored');
    const progress: number[] = [];
    const result = await uploadBlob(relays, events, { window: fixed(8), onProgress: (done) => progress.push(done) });
    expect(most()).toBe(16); // two relays
    expect(progress.at(-1)).toBe(85);
    expect(result.events).toBe(85);
    expect(result.relays.map(({ relay, stored, skipped }) => [relay, stored, skipped])).toEqual([
      [URLS[0], 85, 0],
      [URLS[1], 85, 0],
    ]);
  });

  test('can be repeated: stored twice is stored', async () => {
    const network = memoryNetwork(URLS);
    const first = await uploadBlob(network.relays(), events);
    expect(await uploadBlob(network.relays(), events)).toEqual(first);
    expect(network.events().length).toBe(85);
  });

  test('goes on with one relay when the other is silent or refuses, and stops asking that one', async () => {
    for (const state of ['unreachable', 'refused'] as const) {
      const { relays, sent } = publishing(URLS, (url) => (url === URLS[0] ? state : 'stored'));
      const result = await uploadBlob(relays, events, { window: fixed(4) });
      expect(result.relays[1]!.stored).toBe(85);
      expect(result.relays[0]!.stored).toBe(0);
      expect(sent.get(URLS[0])).toBeLessThan(10);
      expect(result.relays[0]!.skipped).toBe(85 - sent.get(URLS[0])!);
    }
  });

  test('sends an event again that met silence', async () => {
    const { relays } = publishing([URLS[0]], (_, nth) => (nth === 5 ? 'unreachable' : 'stored'));
    const result = await uploadBlob(relays, events);
    expect(result.relays[0]).toMatchObject({ stored: 85, unreachable: 1 });
  });

  test('sends again what was in flight when the relay went away and came back', async () => {
    const { relays } = publishing([URLS[0]], (_, nth) => (nth > 20 && nth <= 23 ? 'unreachable' : 'stored'));
    const result = await uploadBlob(relays, events, { window: fixed(8) });
    expect(result.relays[0]).toMatchObject({ stored: 85, unreachable: 3 });
  });

  test('tells refusal from silence, with counts, and does not send everything into the void', async () => {
    const refusing = publishing(URLS, () => 'refused');
    await expect(uploadBlob(refusing.relays, events, { window: fixed(4) })).rejects.toThrow(
      withCode('relay-refused', {
        message: '85 of 85 chunks are stored on no relay',
        got: expect.stringContaining('(blocked: chunks)'),
      }),
    );
    expect(refusing.sent.get(URLS[0])).toBeLessThan(10);
    const silent = publishing(URLS, (url) => (url === URLS[0] ? 'refused' : 'unreachable'));
    await expect(uploadBlob(silent.relays, events)).rejects.toThrow(withCode('relay-unreachable'));
    const full = publishing([URLS[0]], (_, nth) => (nth <= 80 ? 'stored' : 'refused'));
    await expect(uploadBlob(full.relays, events, { window: fixed(1) })).rejects.toThrow(
      withCode('relay-refused', { message: '5 of 85 chunks are stored on no relay' }),
    );
    await expect(uploadBlob(publishing([], () => 'stored').relays, events)).rejects.toThrow(
      withCode('relay-unreachable'),
    );
  });

  test('ends when it is stopped', async () => {
    const stop = new AbortController();
    const { relays, sent } = publishing(URLS, () => 'stored');
    const onProgress = (done: number) => done === 10 && stop.abort();
    const upload = uploadBlob(relays, events, { window: fixed(2), onProgress, signal: stop.signal });
    await expect(upload).rejects.toThrow(withCode('interrupted'));
    expect(sent.get(URLS[0])).toBeLessThan(15);
  });

  test('is read back relay by relay: missing and silent are different answers', async () => {
    const network = memoryNetwork([...URLS, 'wss://c.example']);
    const relays = network.relays();
    const sample = events.slice(0, 3);
    for (const event of sample) await relays.publish(event, [URLS[0]]);
    await relays.publish(sample[0]!, [URLS[1]]);
    network.setDown('wss://c.example', true);
    const [a, b, c] = await verifyStored(relays, sample);
    expect(a).toEqual({ relay: URLS[0], hasAnswered: true, found: 3, missing: [] });
    expect(b).toEqual({ relay: URLS[1], hasAnswered: true, found: 1, missing: [sample[1]!.id, sample[2]!.id] });
    expect(c).toMatchObject({ hasAnswered: false, found: 0 });
    expect(await verifyStored(relays, [])).toEqual([]);
  });
});
