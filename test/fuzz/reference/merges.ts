import { refuse } from './json.js';
import { fromBase64 } from './scalars.js';

/** The tokenizer `bpe` of docs/protocol.md, one merge after the other. */

/** Hex of the bytes of each token: 256 bytes, then 1 to 3,840 pairs of tokens before them, to 64 bytes, none twice. */
export function tokensSlowly(merges: string): readonly string[] {
  const numbers = fromBase64(merges);
  const tokens = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
  if (numbers.length === 0 || numbers.length % 4 !== 0 || numbers.length > 4 * 3_840) refuse('no merges');
  for (let i = 0; i < numbers.length; i += 4) {
    const pair = [256 * numbers[i]! + numbers[i + 1]!, 256 * numbers[i + 2]! + numbers[i + 3]!];
    if (pair.some((token) => token >= tokens.length)) refuse('a merge of later tokens');
    const token = pair.map((one) => tokens[one]!).join('');
    if (token.length > 128 || tokens.includes(token)) refuse('a long token, or one twice');
    tokens.push(token);
  }
  return tokens;
}
/** A piece as bytes, in which each merge in turn joins its pairs from left to right. */
export function mergeSlowly(tokens: readonly string[], merges: string, piece: string): readonly number[] {
  const numbers = fromBase64(merges);
  let parts = [...Buffer.from(piece)];
  for (let token = 256; token < tokens.length; token++) {
    const at = 4 * (token - 256);
    const [left, right] = [256 * numbers[at]! + numbers[at + 1]!, 256 * numbers[at + 2]! + numbers[at + 3]!];
    const joined: number[] = [];
    for (const part of parts) {
      if (part === right && joined.at(-1) === left) joined.splice(-1, 1, token);
      else joined.push(part);
    }
    parts = joined;
  }
  return parts;
}
