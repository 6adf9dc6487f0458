import { z } from 'zod';
import { NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { sha256Hex as hashHex } from '../hash.js';
import type { EventTemplate, NostrEvent } from '../ports.js';
import { parseJson } from './json.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from './kinds.js';

/** An event's JSON may have this many UTF-16 units of content; strfry's default event limit is 65,536 bytes. */
export const MAX_CONTENT = 64_000;
const MAX_TAGS = 600;
/** More keys than these are told by the job's tag `e`: each `p` takes 70 bytes of an event. */
const MAX_PEOPLE = 64;
const MAX_TAG_VALUE = 1_024;

/** Where an event stands in its author's chain for the job (`seq` 0, 1, 2 ..., `prev` the id before it). */
export interface ChainLink {
  readonly job: EventId | null;
  readonly seq: number;
  readonly prev: EventId | null;
}

/** A parsed event of a job: every field checked. `content` is what its kind's schema promises. */
export interface Parsed<K extends string, C> {
  readonly type: K;
  readonly id: EventId;
  readonly author: Pubkey;
  readonly createdAt: number;
  /** For the job event itself: its own id. */
  readonly job: EventId;
  readonly seq: number;
  readonly prev: EventId | null;
  readonly content: C;
  /** SHA-256 of the content string as published, of all parts where it came in parts. */
  readonly contentHash: Sha256;
}

export interface EventType<K extends string, C> {
  readonly type: K;
  readonly kind: number;
  readonly phase: string | null;
  build(link: ChainLink, content: C, createdAt: number, people?: readonly Pubkey[]): EventTemplate;
  /**
   * @param whole  the content that its parts make, where it came in parts
   * @throws NmktError `bad-event` or `unsupported-version`
   */
  parse(event: NostrEvent, whole?: string): Parsed<K, C>;
}

export function badEvent(
  event: { readonly id: string; readonly kind: number },
  expected: string,
  got: string,
): NmktError {
  return new NmktError('bad-event', `event ${event.id.slice(0, 12)}… of kind ${event.kind} is not valid`, {
    expected,
    got: got.slice(0, 200),
    remedy: 'ask its author to publish a valid event; nmkt ignores this one',
  });
}

/** The first value of the first tag with that name. */
export function tagValue(event: Pick<NostrEvent, 'tags'>, name: string): string | undefined {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}

/** Sizes, version and topic, before anything is parsed. */
export function checkEnvelope(event: NostrEvent, kind: number): void {
  if (event.kind !== kind) throw badEvent(event, `kind ${kind}`, `kind ${event.kind}`);
  if (event.content.length > MAX_CONTENT)
    throw badEvent(event, `at most ${MAX_CONTENT} characters of content`, `${event.content.length}`);
  if (event.tags.length > MAX_TAGS) throw badEvent(event, `at most ${MAX_TAGS} tags`, `${event.tags.length}`);
  for (const tag of event.tags)
    if (tag.length > 8 || tag.some((value) => value.length > MAX_TAG_VALUE))
      throw badEvent(event, 'short tags', `a tag ${tag[0]?.slice(0, 20)}`);
  const version = tagValue(event, 'v');
  if (tagValue(event, 't') !== PROTOCOL_TAG || version === undefined)
    throw badEvent(event, `tags t=${PROTOCOL_TAG} and v`, 'none');
  if (version !== PROTOCOL_VERSION)
    throw new NmktError('unsupported-version', `event ${event.id.slice(0, 12)}… speaks nmkt/${version.slice(0, 8)}`, {
      expected: `nmkt/${PROTOCOL_VERSION}`,
      got: `nmkt/${version.slice(0, 8)}`,
      remedy: 'install a newer nmkt',
    });
}

/** Kinds without phases carry no such tag. */
export function checkPhase(event: NostrEvent, phase: string | null): void {
  const found = tagValue(event, 'phase') ?? null;
  if (found !== phase) throw badEvent(event, `phase ${phase ?? 'none'}`, found ?? 'none');
}

/** Strict JSON object of a schema; unknown fields are ignored, everything else must fit. */
export function parseContent<C>(event: NostrEvent, schema: z.ZodType<C>, content = event.content): C {
  const json = parseJson(content);
  if (json === undefined)
    throw badEvent(event, 'JSON with one meaning: no equal keys, no __proto__, integers only', content.slice(0, 40));
  const result = z.safeDecode(schema, json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw badEvent(event, `content.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'valid'}`, content.slice(0, 80));
}

/** Deterministic content string: keys in schema order, amounts as decimal strings. */
export function encodeContent<C>(schema: z.ZodType<C>, content: C): string {
  return JSON.stringify(z.encode(schema, content));
}

const SEQ = /^(0|[1-9][0-9]{0,8})$/;
const ID = /^[0-9a-f]{64}$/;

function parseLink(event: NostrEvent, isJob: boolean): { job: EventId; seq: number; prev: EventId | null } {
  const seqText = tagValue(event, 'seq') ?? '';
  const prev = tagValue(event, 'prev');
  const job = isJob ? event.id : tagValue(event, 'e');
  if (!SEQ.test(seqText)) throw badEvent(event, 'tag seq', seqText);
  const seq = Number(seqText);
  if (job === undefined || !ID.test(job)) throw badEvent(event, 'tag e with the job id', job ?? 'none');
  if (isJob && seq !== 0) throw badEvent(event, 'seq 0', seqText);
  if (seq === 0 ? prev !== undefined : prev === undefined || !ID.test(prev))
    throw badEvent(event, seq === 0 ? 'no prev at seq 0' : 'tag prev with an event id', prev ?? 'none');
  return { job: job as EventId, seq, prev: (prev as EventId | undefined) ?? null };
}

/**
 * One kind (and phase) of the wire: its schema, how to build and how to parse it.
 *
 * @param extraTags  further tags that follow from the content, e.g. `round`
 */
export function eventType<K extends string, C>(
  type: K,
  kind: number,
  phase: string | null,
  schema: z.ZodType<C>,
  extraTags: (content: C) => readonly (readonly string[])[] = () => [],
): EventType<K, C> {
  const isJob = kind === KINDS.job;
  return {
    type,
    kind,
    phase,
    build(link, content, createdAt, people = []) {
      const tags: (readonly string[])[] = [
        ['t', PROTOCOL_TAG],
        ['v', PROTOCOL_VERSION],
      ];
      if (phase !== null) tags.push(['phase', phase]);
      if (link.job !== null) tags.push(['e', link.job]);
      tags.push(['seq', String(link.seq)]);
      if (link.prev !== null) tags.push(['prev', link.prev]);
      tags.push(...extraTags(content), ...(people.length > MAX_PEOPLE ? [] : people).map((person) => ['p', person]));
      return { kind, created_at: createdAt, tags, content: encodeContent(schema, content) };
    },
    parse(event, whole = event.content) {
      checkEnvelope(event, kind);
      checkPhase(event, phase);
      return {
        type,
        id: event.id,
        author: event.pubkey,
        createdAt: event.created_at,
        ...parseLink(event, isJob),
        content: parseContent(event, schema, whole),
        contentHash: hashHex(whole),
      };
    },
  };
}
