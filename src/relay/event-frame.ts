import { sha256 } from '../hash.js';
import { withBinaryContent } from '../large-event.js';
import type { NostrEvent } from '../ports.js';
import { decodeLongBase64, isLongBase64, LONG_CONTENT } from './event-json.js';
import { parseSignedEvent } from './event-shape.js';

/**
 * A message with a large event whose JSON is byte for byte the one we would write, read without JSON.parse: a chunk's 64 KB
 * are looked at once, for being base64, and not copied. Whatever is not exactly of this form goes the plain way.
 *
 *     <prefix>{"id":"...","pubkey":"...","created_at":N,"kind":N,"tags":[...],"content":"base64","sig":"..."}]
 */
export interface EventFrame {
  /** All but the content. */
  readonly head: Omit<NostrEvent, 'content'>;
  /** JSON of the event, a view of the message. */
  readonly json: Buffer;
  /** Between the quotes, a view of the message: base64, so that it stands for itself in JSON. */
  readonly content: Buffer;
  /** NIP-01 serialisation, in parts. */
  readonly serialised: readonly [before: string, content: Buffer, after: string];
}

/** id, pubkey, time and kind, and tags as a chunk has them. */
const MAX_HEAD_BYTES = 1_024;
const HEAD =
  /^\{"id":"([0-9a-f]{64})","pubkey":"([0-9a-f]{64})","created_at":(\d{1,10}),"kind":(\d{1,5}),"tags":(\[.*\]),"content":"$/;
const CONTENT_MARK = Buffer.from(',"content":"');
const TAIL = /^","sig":"([0-9a-f]{128})"\}\]$/;
const TAIL_BYTES = '","sig":"'.length + 128 + '"}]'.length;

/** @param start  where the event begins: the bytes before it are the caller's to check */
export function readEventFrame(frame: Buffer, start: number): EventFrame | undefined {
  const read = readFrame(frame, start);
  return read !== undefined && isLongBase64(read.content.toString('latin1')) ? read : undefined;
}

/** All but the look at the content. */
function readFrame(frame: Buffer, start: number): EventFrame | undefined {
  if (frame.length < start + LONG_CONTENT) return undefined;
  const mark = frame.subarray(start, start + MAX_HEAD_BYTES).indexOf(CONTENT_MARK);
  if (mark === -1) return undefined;
  const contentAt = start + mark + CONTENT_MARK.length;
  const contentEnd = frame.length - TAIL_BYTES;
  if (contentEnd - contentAt < LONG_CONTENT) return undefined;
  const head = HEAD.exec(frame.toString('latin1', start, contentAt));
  const tail = TAIL.exec(frame.toString('latin1', contentEnd));
  if (head === null || tail === null) return undefined;
  const [, id, pubkey, createdAt, kind, tagsJson] = head as unknown as [string, string, string, string, string, string];
  const content = frame.subarray(contentAt, contentEnd);
  const tags = canonicalTags(tagsJson);
  if (tags === undefined) return undefined;
  const numbers = { created_at: Number(createdAt), kind: Number(kind) };
  if (String(numbers.created_at) !== createdAt || String(numbers.kind) !== kind) return undefined; // leading zeros
  const shaped = shapeOf({ id, pubkey, ...numbers, tags, sig: tail[1] });
  if (shaped === undefined) return undefined;
  return {
    head: shaped,
    json: frame.subarray(start, frame.length - 1),
    content,
    serialised: [`[0,"${pubkey}",${createdAt},${kind},${tagsJson},"`, content, '"]'],
  };
}

const SUBSCRIBED = Buffer.from('["EVENT","');
const MAX_SUBSCRIPTION_CHARS = 64;

/** `["EVENT",<subscription>,<event>]` with a large event, its content decoded. */
export function readSubscribedEvent(
  frame: Buffer,
): { readonly subscription: string; readonly event: NostrEvent } | undefined {
  if (frame.length < LONG_CONTENT || SUBSCRIBED.compare(frame, 0, SUBSCRIBED.length) !== 0) return undefined;
  const end = frame.indexOf('",', SUBSCRIBED.length);
  if (end === -1 || end > SUBSCRIBED.length + MAX_SUBSCRIPTION_CHARS) return undefined;
  const subscription = frame.toString('latin1', SUBSCRIBED.length, end);
  if (!/^\w+$/.test(subscription)) return undefined;
  const read = readFrame(frame, end + 2);
  const bytes = read && decodeLongBase64(read.content.toString('latin1'));
  return bytes && { subscription, event: withBinaryContent(read.head, bytes, sha256(...read.serialised)) };
}

/** The same strict checks as for any event; the plain way says what is wrong. */
function shapeOf(value: Record<string, unknown>): EventFrame['head'] | undefined {
  try {
    const { content: _, ...head } = parseSignedEvent({ ...value, content: '' });
    return head;
  } catch {
    return undefined;
  }
}

function canonicalTags(json: string): unknown {
  try {
    const tags: unknown = JSON.parse(json);
    return JSON.stringify(tags) === json ? tags : undefined;
  } catch {
    return undefined;
  }
}
