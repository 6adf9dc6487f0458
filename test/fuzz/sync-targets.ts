import { sha256Hex } from '../../src/hash.js';
import { initiate, MIN_MESSAGE_BYTES, reconcile, respond } from '../../src/relay/negentropy.js';
import { readRanges, readVersion } from '../../src/relay/sync-message.js';
import { SyncSet } from '../../src/relay/sync-set.js';
import { mutateBytes, type Random } from './mutate.js';
import { refuse } from './reference/json.js';
import { target, type Target } from './target.js';

/** Messages of Negentropy (NIP-77): what is taken is what a slow reader of the text takes, and answers are bounded. */

const all = Array.from({ length: 300 }, (_, n) => ({ id: sha256Hex(`fuzz sync ${n}`), created_at: n >> 3 }));
const [few, many] = [new SyncSet(all.slice(200)), new SyncSet(all)];
const samples: readonly Buffer[] = [
  initiate(few),
  initiate(new SyncSet(all.slice(0, 20))),
  respond(many, initiate(few), MIN_MESSAGE_BYTES),
  reconcile(few, respond(many, initiate(few), 1 << 20), 1 << 20).next!,
  Buffer.of(0x61),
];

/** Ranges as the document says, with integers of any size. */
function readAll(bytes: Uint8Array): unknown {
  let at = 1;
  const take = (count: bigint): Uint8Array => {
    if (count > BigInt(bytes.length - at)) return refuse('the message ends');
    at += Number(count);
    return bytes.subarray(at - Number(count), at);
  };
  const number = (): bigint => {
    for (let value = 0n; ;) {
      const digit = take(1n)[0]!;
      if (value === 0n && digit === 128) refuse('not as few digits as possible');
      value = value * 128n + BigInt(digit % 128);
      if (digit < 128) return value;
    }
  };
  const version = bytes[0];
  if (version === undefined || version >> 4 !== 6) return refuse('no version');
  if (version !== 0x61) return [];
  const ranges: unknown[] = [];
  let last = { time: 0n, prefix: '' };
  while (at < bytes.length) {
    const date = number();
    const isEnd = date === 0n || last.time === -1n;
    const time = isEnd ? -1n : last.time + date - 1n;
    const length = number();
    if (length > 32n) refuse('no prefix');
    const prefix = Buffer.from(take(length)).toString('hex');
    const [padded, before] = [prefix.padEnd(64, '0'), last.prefix.padEnd(64, '0')];
    if (time === last.time && padded < before) refuse('it goes back');
    last = { time, prefix };
    const mode = number();
    if (mode > 2n) refuse('no mode');
    const payload = mode === 0n ? 0n : mode === 1n ? 16n : number() * 32n;
    ranges.push([time.toString(), prefix, Number(mode), Buffer.from(take(payload)).toString('hex')]);
  }
  return ranges;
}

function readOurs(bytes: Uint8Array): unknown {
  const message = Buffer.from(bytes);
  if (readVersion(message) !== 0x61) return [];
  return [...readRanges(message)].map((range) => {
    const payload = range.mode === 'fingerprint' ? range.fingerprint : range.mode === 'ids' ? range.ids : Buffer.of();
    return [
      range.bound.time === Infinity ? '-1' : String(range.bound.time),
      range.bound.prefix.toString('hex'),
      ['skip', 'fingerprint', 'ids'].indexOf(range.mode),
      payload.toString('hex'),
    ];
  });
}

const make = (random: Random): Uint8Array => mutateBytes(random, samples);

export const syncTargets: readonly Target[] = [
  target('messages of Negentropy', ['bad-event'], { make, run: readOurs, reference: readAll }),
  target('answers to messages of Negentropy', ['bad-event'], {
    make,
    run: (bytes) => {
      const message = Buffer.from(bytes);
      const answer = respond(many, message, MIN_MESSAGE_BYTES);
      if (answer.length > MIN_MESSAGE_BYTES) throw new Error(`an answer of ${answer.length} bytes`);
      const { have, need } = reconcile(few, message, MIN_MESSAGE_BYTES);
      if (have.length > few.size || need.length * 32 > message.length) throw new Error('ids from nowhere');
    },
  }),
];
