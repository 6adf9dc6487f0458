import { utf8, type Bytes } from '../hash.js';
import { BYTES, MAX_TOKEN_BYTES, MAX_VOCABULARY, pieces, type Merge } from './bpe.js';
import { pairQueue } from './pair-queue.js';

/** Merges for a text: the pair of tokens that stands side by side most often becomes a token, again and again. */

/** Of the text, from its beginning: enough for counts that matter, and a bound on memory and time. */
const TRAINING_CHARACTERS = 2 ** 21;
/** The vocabulary is public: what stands in fewer places does not get into it. */
export const LEAST_COUNT = 8;

interface Word {
  tokens: readonly number[];
  readonly count: number;
}

/**
 * Sennrich et al. 2016, Algorithm 1, within pieces; equal counts go to the smaller left, then the smaller right token, so equal texts give equal
 * merges. Pairs of too many bytes for a token stay apart. No token comes twice: what becomes of some bytes between two boundaries follows from them alone.
 *
 * @param vocabulary  tokens wanted, bytes included, to 4,096
 * @returns           as many merges, or fewer where no pair stands in 8 places any more
 */
export function trainMerges(text: string, vocabulary: number): readonly Merge[] {
  const words = wordsOf(text.slice(0, TRAINING_CHARACTERS));
  const tokens: Bytes[] = Array.from({ length: BYTES }, (_, byte) => Uint8Array.of(byte));
  const merges: Merge[] = [];
  const pairs = countPairs(words);
  while (merges.length < vocabulary - BYTES) {
    const merge = pairs.mostFrequent();
    if (merge === undefined) break;
    const joined = Buffer.concat([tokens[merge[0]]!, tokens[merge[1]]!]);
    if (joined.length > MAX_TOKEN_BYTES) continue;
    pairs.merge(merge, tokens.length);
    tokens.push(new Uint8Array(joined));
    merges.push(merge);
  }
  return merges;
}

/** Each different piece once, as bytes. */
function wordsOf(text: string): Word[] {
  const counts = new Map<string, number>();
  for (const piece of pieces(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  return [...counts].map(([piece, count]) => ({ tokens: [...utf8(piece)], count }));
}

/** Counts of pairs in all words, kept as merges change the words. */
function countPairs(words: readonly Word[]) {
  const counts = new Map<number, number>();
  /** Words that have, or had, the pair. */
  const places = new Map<number, number[]>();
  const queue = pairQueue();
  const count = (tokens: readonly number[], by: number, seen: Set<number>): void => {
    for (let i = 1; i < tokens.length; i++) {
      const key = keyOf(tokens[i - 1]!, tokens[i]!);
      counts.set(key, (counts.get(key) ?? 0) + by);
      seen.add(key);
    }
  };
  const remember = (tokens: readonly number[], word: number, isNew: (token: number) => boolean): void => {
    for (let i = 1; i < tokens.length; i++) {
      if (!isNew(tokens[i - 1]!) && !isNew(tokens[i]!)) continue;
      const key = keyOf(tokens[i - 1]!, tokens[i]!);
      const list = places.get(key);
      if (list === undefined) places.set(key, [word]);
      else if (list.at(-1) !== word) list.push(word);
    }
  };
  const offer = (keys: Iterable<number>): void => {
    for (const key of keys) {
      const now = counts.get(key)!;
      if (now >= LEAST_COUNT) queue.push(key, now);
      else if (now === 0) counts.delete(key);
    }
  };
  const all = new Set<number>();
  words.forEach(({ tokens, count: times }, word) => {
    count(tokens, times, all);
    remember(tokens, word, () => true);
  });
  offer(all);
  return {
    /** Each call another one, unless its count changes meanwhile. */
    mostFrequent(): Merge | undefined {
      for (;;) {
        const first = queue.pop();
        if (first === undefined) return undefined;
        if (counts.get(first.key) === first.count)
          return [Math.floor(first.key / MAX_VOCABULARY), first.key % MAX_VOCABULARY];
      }
    },
    merge([left, right]: Merge, token: number): void {
      const changed = new Set<number>();
      const key = keyOf(left, right);
      for (const place of places.get(key) ?? []) {
        const word = words[place]!;
        const joined = join(word.tokens, left, right, token);
        if (joined.length === word.tokens.length) continue;
        count(word.tokens, -word.count, changed);
        count(joined, word.count, changed);
        remember(joined, place, (one) => one === token);
        word.tokens = joined;
      }
      places.delete(key);
      offer(changed);
    },
  };
}

const keyOf = (left: number, right: number): number => left * MAX_VOCABULARY + right;

/** From left to right: `aaa` becomes `aa` and `a`. */
function join(tokens: readonly number[], left: number, right: number, token: number): readonly number[] {
  const joined: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const isPair = tokens[i] === left && tokens[i + 1] === right;
    joined.push(isPair ? token : tokens[i]!);
    if (isPair) i++;
  }
  return joined;
}
