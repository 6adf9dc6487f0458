/** Pairs by count, the most frequent first, of equal ones the smaller key: a binary heap. */
export interface PairQueue {
  push(key: number, count: number): void;
  /** undefined when there is none left. */
  pop(): { readonly key: number; readonly count: number } | undefined;
}

export function pairQueue(): PairQueue {
  const keys: number[] = [];
  const counts: number[] = [];
  const isBefore = (a: number, b: number): boolean =>
    counts[a]! > counts[b]! || (counts[a] === counts[b] && keys[a]! < keys[b]!);
  const swap = (a: number, b: number): void => {
    [keys[a], keys[b]] = [keys[b]!, keys[a]!];
    [counts[a], counts[b]] = [counts[b]!, counts[a]!];
  };
  return {
    push(key, count) {
      keys.push(key);
      counts.push(count);
      for (let at = keys.length - 1; at > 0;) {
        const parent = (at - 1) >> 1;
        if (!isBefore(at, parent)) return;
        swap(at, parent);
        at = parent;
      }
    },
    pop() {
      if (keys.length === 0) return undefined;
      swap(0, keys.length - 1);
      const first = { key: keys.pop()!, count: counts.pop()! };
      for (let at = 0; ;) {
        const [left, right] = [2 * at + 1, 2 * at + 2];
        let next = at;
        if (left < keys.length && isBefore(left, next)) next = left;
        if (right < keys.length && isBefore(right, next)) next = right;
        if (next === at) return first;
        swap(at, next);
        at = next;
      }
    },
  };
}
