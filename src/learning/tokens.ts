import { NmktError } from '../errors.js';
import { hex, utf8, type Bytes } from '../hash.js';
import { BYTES, countMerges, readMerges, type Vocabulary } from './bpe.js';
import type { DataSchema, TextCode } from './types.js';

/** Text as numbers and back. How is part of the manifest, so that whoever holds the model applies the same. */

/** Bytes hold tokens of vocabularies up to here; larger ones are stored as float32, which is exact. */
export const BYTE_TOKENS = 256;
export const MAX_CHARACTERS = 4_096;

export function vocabularySize(code: TextCode): number {
  switch (code.tokenizer) {
    case 'byte':
      return BYTE_TOKENS;
    case 'bpe':
      return BYTES + countMerges(code.merges);
    case 'char':
      return [...code.characters].length;
  }
}

/** The merges were checked where the schema was read. @throws NmktError `bad-dataset` */
export function bpeVocabulary({ merges }: Extract<TextCode, { tokenizer: 'bpe' }>): Vocabulary {
  const read = readMerges(merges);
  if (typeof read !== 'string') return read;
  throw new NmktError('bad-dataset', 'the merges of the tokenizer are not usable', {
    expected: read,
    got: `${merges.length} characters that are none`,
    remedy: 'take the schema of the dataset as it was published',
  });
}

/** Each different character of a text, by code point. */
export function charactersOf(text: string): string {
  return [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!).join('');
}

/** Merges are applied by a package: see training/text-tokens. @throws NmktError `bad-dataset` naming a character that is not in the vocabulary */
export function encodeText(code: Exclude<TextCode, { tokenizer: 'bpe' }>, text: string): Int32Array {
  if (code.tokenizer === 'byte') return Int32Array.from(utf8(text));
  const numbers = new Map([...code.characters].map((character, i) => [character, i]));
  const characters = [...text];
  return Int32Array.from(characters, (character, at) => {
    const token = numbers.get(character);
    if (token !== undefined) return token;
    throw new NmktError('bad-dataset', `character ${at + 1} of the text is none that the model knows`, {
      expected: `one of the ${numbers.size} characters of its dataset`,
      got: JSON.stringify(character),
      remedy: 'leave it out; a dataset published with --tokenizer byte knows every text',
    });
  });
}

/** Bytes that are no UTF-8, as a model may make them up, become U+FFFD. */
export function decodeTokens(code: TextCode, tokens: ArrayLike<number>): string {
  if (code.tokenizer === 'byte') return textOf(Uint8Array.from(Array.from(tokens)));
  if (code.tokenizer === 'bpe') {
    const vocabulary = bpeVocabulary(code).tokens;
    return textOf(Buffer.concat(Array.from(tokens, (token) => vocabulary[token] ?? Uint8Array.of(0xff))));
  }
  const characters = [...code.characters];
  return Array.from(tokens, (token) => characters[token] ?? '\ufffd').join('');
}

function textOf(bytes: Bytes): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** How many characters begin in each token: in UTF-8 all bytes but those that go on. */
export function charactersPerToken(code: TextCode): readonly number[] {
  if (code.tokenizer === 'char') return [...code.characters].map(() => 1);
  const tokens =
    code.tokenizer === 'bpe' ? bpeVocabulary(code).tokens : Array.from({ length: BYTES }, (_, byte) => [byte]);
  return tokens.map((bytes) => Array.from(bytes).filter((byte) => (byte & 0xc0) !== 0x80).length);
}

/** What the classes of a dataset are called; the characters of a text, the numbers of its bytes, the text of joined ones. */
export function classNames({ classes, text, outputs }: DataSchema): readonly string[] {
  if (text === undefined) return classes ?? [];
  switch (text.tokenizer) {
    case 'char':
      return [...text.characters];
    case 'byte':
      return Array.from({ length: outputs }, (_, byte) => `${byte}`);
    case 'bpe':
      return bpeVocabulary(text).tokens.map(tokenName);
  }
}

const HEX_NAME = '<0x';

/** Its text, or `<0x…>` of bytes that are none: different tokens have different names. */
function tokenName(bytes: Bytes): string {
  const name = textOf(bytes);
  const isText = !name.includes('\ufffd') && !name.startsWith(HEX_NAME);
  return isText ? name : `${HEX_NAME}${hex(bytes)}>`;
}
