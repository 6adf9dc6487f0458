import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { writeMerges } from '../learning/bpe.js';
import { LEAST_COUNT, trainMerges } from '../learning/bpe-training.js';
import { BYTE_TOKENS, charactersOf, MAX_CHARACTERS, vocabularySize } from '../learning/tokens.js';
import type { DataSchema, Examples, TextCode } from '../learning/types.js';
import { listFolder } from './folder.js';
import { textTokens } from './text-tokens.js';

/** Plain text in UTF-8 as examples of a fixed number of tokens and the one that follows. */

export const TOKENIZERS = ['char', 'byte', 'bpe'] as const;
export type Tokenizer = (typeof TOKENIZERS)[number];

export interface TextOptions {
  /** Default: char where the text has at most 256 different characters, else byte. */
  readonly tokenizer?: Tokenizer;
  /** Of `bpe`: tokens, the 256 bytes included; default 1,024. */
  readonly vocabulary?: number;
  /** Tokens per example; default 64. */
  readonly context?: number;
}

const CONTEXT = 64;
const VOCABULARY = 1_024;
/** Names that text usually has: what is inside does not tell it from a table. */
const NAMES = /\.(txt|text|md)$/i;

export function looksLikeText(path: string, options: TextOptions): boolean {
  return (
    NAMES.test(path) ||
    options.tokenizer !== undefined ||
    options.vocabulary !== undefined ||
    options.context !== undefined
  );
}

export function isTextName(name: string): boolean {
  return NAMES.test(name);
}

/** The texts of a folder, in the order of their names. @throws NmktError `too-large` for more than maxBytes together */
export async function textsInFolder(folder: string, maxBytes: number): Promise<string[]> {
  const paths = (await listFolder(folder)).files.filter(isTextName).map((name) => join(folder, name));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  const size = sizes.reduce((sum, one) => sum + one, 0);
  if (size > maxBytes)
    throw new NmktError('too-large', `the texts of ${folder} are above the size limit`, {
      remedy: 'raise --max-bytes',
      expected: `at most ${maxBytes} bytes`,
      got: `${size}`,
    });
  return paths;
}

/** One after the other; a text that does not end in a line end gets one before the next. */
async function readTexts(paths: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const [i, path] of paths.entries()) {
    const text = await readText(path);
    texts.push(i === paths.length - 1 || text.endsWith('\n') ? text : `${text}\n`);
  }
  return texts.join('');
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new NmktError('bad-dataset', `${path} is no text`, {
      expected: 'UTF-8',
      got: 'bytes that are none',
      remedy: 'save it as UTF-8',
      cause,
    });
  }
}

function chooseCode(text: string, { tokenizer, vocabulary }: TextOptions): TextCode {
  if (tokenizer === 'bpe') return trainedCode(text, vocabulary ?? VOCABULARY);
  if (vocabulary !== undefined)
    throw new NmktError('bad-usage', 'a vocabulary has a size with --tokenizer bpe alone', {
      expected: '--tokenizer bpe beside --vocabulary',
      got: tokenizer === undefined ? 'no --tokenizer' : `--tokenizer ${tokenizer}`,
      remedy: 'add --tokenizer bpe, or leave out --vocabulary',
    });
  const characters = charactersOf(text);
  const count = [...characters].length;
  if (tokenizer === 'byte' || (tokenizer === undefined && count > BYTE_TOKENS)) return { tokenizer: 'byte' };
  if (count < 2 || count > MAX_CHARACTERS)
    throw new NmktError('bad-dataset', 'the text cannot be read by its characters', {
      expected: `2 to ${MAX_CHARACTERS} different characters`,
      got: `${count}`,
      remedy: '--tokenizer byte',
    });
  return { tokenizer: 'char', characters };
}

function trainedCode(text: string, vocabulary: number): TextCode {
  const merges = trainMerges(text, vocabulary);
  if (merges.length > 0) return { tokenizer: 'bpe', merges: writeMerges(merges) };
  throw new NmktError('bad-dataset', 'the text has no pair of characters to make a token of', {
    expected: `a pair that stands in ${LEAST_COUNT} places`,
    got: `none in ${text.length} characters`,
    remedy: 'give more text, or --tokenizer byte',
  });
}

/** Windows side by side: the label of one is the first token of the next. */
function toExamples(tokens: Int32Array, schema: DataSchema, path: string): Examples {
  const { inputs, dtype } = schema;
  const rows = Math.floor((tokens.length - 1) / inputs);
  if (rows < 1)
    throw new NmktError('bad-dataset', `${path} is too short`, {
      expected: `at least ${inputs + 1} tokens`,
      got: `${tokens.length}`,
      remedy: 'give more text; a dataset published with a smaller --context takes less',
    });
  const used = tokens.subarray(0, rows * inputs);
  const features = dtype === 'U8' ? Uint8Array.from(used) : Float32Array.from(used);
  const labels = Int32Array.from({ length: rows }, (_, row) => tokens[(row + 1) * inputs]!);
  return { rows, inputs, features, scale: 1, labels };
}

/** @param paths  of one text, in parts */
export async function readTextDataset(
  paths: readonly string[],
  options: TextOptions,
): Promise<{ schema: DataSchema; examples: Examples }> {
  const content = await readTexts(paths);
  const context = options.context ?? CONTEXT;
  const text = chooseCode(content, options);
  const outputs = vocabularySize(text);
  const dtype = outputs <= BYTE_TOKENS ? 'U8' : 'F32';
  const schema = { task: 'classification', shape: [context], inputs: context, dtype, scale: 1, outputs, text } as const;
  return { schema, examples: toExamples(textTokens(text, content), schema, paths.join(', ')) };
}

export async function readTextWithSchema(paths: readonly string[], schema: DataSchema): Promise<Examples> {
  return toExamples(textTokens(schema.text!, await readTexts(paths)), schema, paths.join(', '));
}
