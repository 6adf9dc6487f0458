import { z } from 'zod';
import { sha256Hex as hashHex, type EventId } from '../hash.js';
import type { EventTemplate, NostrEvent } from '../ports.js';
import { badEvent, checkEnvelope, MAX_CONTENT, parseContent, tagValue } from './envelope.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from './kinds.js';
import { eventId, int, sha256Hex } from './scalars.js';

/**
 * A content that is longer than an event may be travels in parts: the event itself says which events hold its pieces. So a job of a thousand
 * seats goes over relays that take 64 KB.
 */

/** UTF-16 units of a piece: with id, key and signature it stays below 65,536 bytes, also as escaped JSON of hex and digits. */
const PIECE = 48_000;
const MAX_PARTS = 64;
const TAG = 'parts';

const cutContent = z.object({
  sha256: sha256Hex,
  size: int(MAX_CONTENT + 1, PIECE * MAX_PARTS),
  parts: z.array(eventId).min(2).max(MAX_PARTS),
});

export interface Cut {
  /** Kind 4634, without `seq` and `prev`: to be signed first. */
  readonly parts: readonly EventTemplate[];
  /** @param ids  of the parts, in their order */
  event(ids: readonly EventId[]): EventTemplate;
}

/** @returns null where it fits. @throws RangeError above what parts can hold */
export function cut(template: EventTemplate): Cut | null {
  const { content, created_at } = template;
  if (content.length <= MAX_CONTENT) return null;
  if (content.length > PIECE * MAX_PARTS) throw new RangeError(`a content of ${content.length} characters`);
  const job = tagValue(template, 'e');
  const pieces: string[] = [];
  for (let start = 0; start < content.length;) {
    const end = start + PIECE - (isLeadSurrogate(content, start + PIECE - 1) ? 1 : 0);
    pieces.push(content.slice(start, end));
    start = end;
  }
  const tags = [['t', PROTOCOL_TAG], ['v', PROTOCOL_VERSION], ...(job === undefined ? [] : [['e', job]])];
  return {
    parts: pieces.map((piece) => ({ kind: KINDS.part, created_at, tags, content: piece })),
    event: (ids) => ({
      ...template,
      tags: [...template.tags, [TAG, String(ids.length)]],
      content: JSON.stringify({ sha256: hashHex(content), size: content.length, parts: ids }),
    }),
  };
}

function isLeadSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff;
}

/**
 * @returns the parts of an event in their order; null: its content is its own
 * @throws NmktError `bad-event`, `unsupported-version`
 */
export function partsOf(event: NostrEvent): readonly EventId[] | null {
  const count = tagValue(event, TAG);
  if (count === undefined) return null;
  checkEnvelope(event, event.kind);
  const { parts } = parseContent(event, cutContent);
  if (new Set(parts).size !== parts.length || count !== String(parts.length))
    throw badEvent(event, 'as many parts as its tag says, none twice', `${count}, ${parts.length}`);
  return parts;
}

/**
 * The content that the pieces of an event make.
 *
 * @param part  by id; undefined: not at hand
 * @returns null where a part is not at hand
 * @throws NmktError `bad-event` where they are another's, or do not make what the event says
 */
export function joined(event: NostrEvent, part: (id: EventId) => NostrEvent | undefined): string | null {
  const pieces = partsOf(event)!.map(part);
  if (pieces.includes(undefined)) return null;
  const { sha256, size } = parseContent(event, cutContent);
  for (const piece of pieces as readonly NostrEvent[]) {
    checkEnvelope(piece, KINDS.part);
    if (piece.pubkey !== event.pubkey || tagValue(piece, 'e') !== tagValue(event, 'e'))
      throw badEvent(event, 'parts of its own author and job', piece.id);
  }
  const content = (pieces as readonly NostrEvent[]).map((piece) => piece.content).join('');
  if (content.length !== size || hashHex(content) !== sha256)
    throw badEvent(event, `${size} characters with sha256 ${sha256}`, `${content.length} with ${hashHex(content)}`);
  return content;
}
