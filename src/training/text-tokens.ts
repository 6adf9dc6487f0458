import * as tokenizers from '@huggingface/tokenizers';
import { pieces } from '../learning/bpe.js';
import { bpeVocabulary, encodeText } from '../learning/tokens.js';
import type { Bytes } from '../hash.js';
import type { TextCode } from '../learning/types.js';

/** Text as tokens by what its manifest says; merges are applied by the tokenizers of Hugging Face. */

/** What is used of the package. Its own types import files without extensions, which the module resolution of Node.js does not find. */
const { Tokenizer } = tokenizers as unknown as {
  readonly Tokenizer: new (
    tokenizer: object,
    config: object,
  ) => {
    encode(text: string): { readonly ids: readonly number[] };
  };
};

/** Pieces of a text repeat: most are looked up. */
const REMEMBERED = 2 ** 16;

/** @throws NmktError `bad-dataset` naming a character that is not in the vocabulary */
export function textTokens(code: TextCode, text: string): Int32Array {
  if (code.tokenizer !== 'bpe') return encodeText(code, text);
  const encode = bpeEncoder(code);
  const known = new Map<string, readonly number[]>();
  let out = new Int32Array(Math.max(16, text.length >> 1));
  let length = 0;
  for (const piece of pieces(text)) {
    const tokens = known.get(piece) ?? encode(piece);
    if (known.size < REMEMBERED) known.set(piece, tokens);
    if (length + tokens.length > out.length) {
      const larger = new Int32Array(2 * out.length + tokens.length);
      larger.set(out);
      out = larger;
    }
    out.set(tokens, length);
    length += tokens.length;
  }
  return out.slice(0, length);
}

/** One piece -> its tokens, by the merge of lowest number first. */
function bpeEncoder(code: Extract<TextCode, { tokenizer: 'bpe' }>): (piece: string) => readonly number[] {
  const { merges, tokens } = bpeVocabulary(code);
  const letters = byteLetters();
  const named = tokens.map((bytes: Bytes) => Array.from(bytes, (byte) => letters[byte]!).join(''));
  const tokenizer = new Tokenizer(
    {
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      model: {
        type: 'BPE',
        unk_token: null,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(named.map((name, token) => [name, token])),
        merges: merges.map(([left, right]) => [named[left]!, named[right]!]),
      },
    },
    {},
  );
  return (piece) => tokenizer.encode(piece).ids;
}

/**
 * GPT-2 writes each byte as one visible character, itself where it is one in Latin-1 and else from U+0100 on:
 * https://github.com/openai/gpt-2/blob/9b63575ef42771a015060c964af2c3da4cf7c8ab/src/encoder.py#L8
 */
function byteLetters(): readonly string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isVisible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCodePoint(isVisible ? byte : next++);
  });
}
