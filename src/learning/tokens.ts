import { NmktError } from '../errors.js';
import { utf8 } from '../hash.js';
import type { DataSchema, TextCode } from './types.js';

/** Text as numbers and back. How is part of the manifest, so that whoever holds the model applies the same. */

/** Bytes hold tokens of vocabularies up to here; larger ones are stored as float32, which is exact. */
export const BYTE_TOKENS = 256;
export const MAX_CHARACTERS = 4_096;

export function vocabularySize(code: TextCode): number {
  return code.tokenizer === 'byte' ? BYTE_TOKENS : [...code.characters].length;
}

/** Each different character of a text, by code point. */
export function charactersOf(text: string): string {
  return [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!).join('');
}

/** @throws NmktError `bad-dataset` naming a character that is not in the vocabulary */
export function encodeText(code: TextCode, text: string): Int32Array {
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
  if (code.tokenizer === 'byte')
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(Array.from(tokens)));
  const characters = [...code.characters];
  return Array.from(tokens, (token) => characters[token] ?? '\ufffd').join('');
}

/** What the classes of a dataset are called; the characters of a text, the numbers of its bytes. */
export function classNames({ classes, text, outputs }: DataSchema): readonly string[] {
  if (text === undefined) return classes ?? [];
  return text.tokenizer === 'char' ? [...text.characters] : Array.from({ length: outputs }, (_, byte) => `${byte}`);
}
