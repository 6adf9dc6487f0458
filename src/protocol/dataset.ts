import { z } from 'zod';
import { MAX_MERGES_TEXT, readMerges } from '../learning/bpe.js';
import { widthOf } from '../learning/schema.js';
import { BYTE_TOKENS, MAX_CHARACTERS, vocabularySize } from '../learning/tokens.js';
import { MAX_LABELS, type DataSchema } from '../learning/types.js';
import type { EventId, Pubkey } from '../hash.js';
import type { EventTemplate, NostrEvent } from '../ports.js';
import { checkEnvelope, checkPhase, encodeContent, parseContent, tagValue, badEvent } from './envelope.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from './kinds.js';
import { base64, bytes32, decimal9, int, sha256Hex, text } from './scalars.js';

const stdDev = decimal9.refine((value) => !/^(-|0\.0+$)/.test(value), 'expected more than 0');

const column = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('numeric'), name: text(200), mean: decimal9, stdDev, fill: decimal9 }),
  z.object({ kind: z.literal('categorical'), name: text(200), values: z.array(text(200)).max(64) }),
]);

const textCode = z.discriminatedUnion('tokenizer', [
  z.object({
    tokenizer: z.literal('char'),
    characters: z.string().refine(isAscending, `expected 2 to ${MAX_CHARACTERS} characters by code point, none twice`),
  }),
  z.object({ tokenizer: z.literal('byte') }),
  z.object({
    tokenizer: z.literal('bpe'),
    merges: base64(MAX_MERGES_TEXT).refine(
      (merges) => typeof readMerges(merges) !== 'string',
      'expected 1 to 3,840 merges of tokens before them, none twice, to at most 64 bytes',
    ),
  }),
]);

const LONE_SURROGATE = /\p{Surrogate}/u;

function isAscending(characters: string): boolean {
  if (characters.length > 2 * MAX_CHARACTERS || LONE_SURROGATE.test(characters)) return false;
  const points = Array.from(characters, (character) => character.codePointAt(0)!);
  return (
    points.length >= 2 &&
    points.length <= MAX_CHARACTERS &&
    points.every((point, i) => i === 0 || point > points[i - 1]!)
  );
}

/** How rows become numbers: public, so that anyone who holds the model can predict. */
export const dataSchema: z.ZodType<DataSchema> = z
  .object({
    task: z.enum(['classification', 'regression', 'multilabel']),
    shape: z.array(int(1, 1_000_000)).min(1).max(4),
    inputs: int(1, 1_000_000),
    dtype: z.enum(['U8', 'F32']),
    scale: int(1, 65_535),
    outputs: int(1, 100_000),
    label: text(200).optional(),
    classes: z.array(text(200)).max(10_000).optional(),
    target: z.object({ name: text(200), mean: decimal9, stdDev }).optional(),
    columns: z.array(column).max(5_000).optional(),
    text: textCode.optional(),
  })
  .refine((schema) => product(schema.shape) === schema.inputs, 'inputs are the product of the shape')
  .refine(
    (schema) => (schema.task === 'regression' ? schema.outputs === 1 : schema.outputs >= 2),
    'outputs fit the task',
  )
  .refine(
    ({ task, outputs, classes, text }) =>
      task !== 'multilabel' || (outputs <= MAX_LABELS && classes !== undefined && text === undefined),
    `2 to ${MAX_LABELS} labels with a name each`,
  )
  .refine((schema) => schema.dtype === 'U8' || schema.scale === 1, 'F32 has scale 1')
  .refine(({ classes, outputs }) => classes === undefined || classes.length === outputs, 'one class name per output')
  .refine(
    ({ columns, inputs }) =>
      columns === undefined || columns.reduce((sum, column) => sum + widthOf(column), 0) === inputs,
    'columns are as wide as the inputs',
  )
  .refine(isText, 'text is tokens of its vocabulary');

/** Tokens in a row, of which the next one is the label. */
function isText({ task, shape, dtype, scale, outputs, text, classes, columns }: DataSchema): boolean {
  if (text === undefined) return true;
  const fits = task === 'classification' && shape.length === 1 && scale === 1 && outputs === vocabularySize(text);
  return fits && dtype === (outputs <= BYTE_TOKENS ? 'U8' : 'F32') && classes === undefined && columns === undefined;
}

const product = (shape: readonly number[]) => shape.reduce((volume, size) => volume * size, 1);

/**
 * A dataset manifest. In a private listing it holds counts, sizes, key commitments and a blinded hash of the locator:
 * nothing that links the customer to chunks.
 */
export const datasetManifest = z.object({
  name: text(200),
  part: z.enum(['train', 'a', 'b']),
  schema: dataSchema,
  salt: bytes32,
  listing: z.literal('private'),
  shards: z
    .array(z.object({ examples: int(1, 2 ** 40), size: int(1, 2 ** 40), chunks: int(1, 2 ** 24), commit: sha256Hex }))
    .min(1)
    .max(1_024),
  locator: sha256Hex,
});
export type DatasetManifest = z.output<typeof datasetManifest>;

export interface Snapshot {
  readonly id: EventId;
  readonly author: Pubkey;
  readonly manifest: DatasetManifest;
}

/** Kind 4620: the immutable manifest that jobs pin. */
export function buildSnapshot(manifest: DatasetManifest, createdAt: number): EventTemplate {
  return {
    kind: KINDS.snapshot,
    created_at: createdAt,
    tags: [
      ['t', PROTOCOL_TAG],
      ['v', PROTOCOL_VERSION],
    ],
    content: encodeContent(datasetManifest, manifest),
  };
}

/** Kind 34620: the same content under an address, for browsing; points at the snapshot it equals. */
export function buildListing(snapshot: NostrEvent, d: string): EventTemplate {
  return {
    kind: KINDS.listing,
    created_at: snapshot.created_at,
    tags: [
      ['d', d],
      ['t', PROTOCOL_TAG],
      ['v', PROTOCOL_VERSION],
      ['e', snapshot.id],
    ],
    content: snapshot.content,
  };
}

export function parseSnapshot(event: NostrEvent): Snapshot {
  checkEnvelope(event, KINDS.snapshot);
  checkPhase(event, null);
  return { id: event.id, author: event.pubkey, manifest: parseContent(event, datasetManifest) };
}

/** @returns the id of the snapshot that the listing equals */
export function parseListing(event: NostrEvent): {
  readonly d: string;
  readonly snapshot: EventId;
  readonly manifest: DatasetManifest;
} {
  checkEnvelope(event, KINDS.listing);
  checkPhase(event, null);
  const d = tagValue(event, 'd');
  const snapshot = tagValue(event, 'e');
  if (d === undefined || snapshot === undefined || !/^[0-9a-f]{64}$/.test(snapshot))
    throw badEvent(event, 'tags d and e', 'none');
  return { d, snapshot: snapshot as EventId, manifest: parseContent(event, datasetManifest) };
}
