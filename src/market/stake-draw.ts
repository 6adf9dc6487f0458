import { sha256, u32be, type Bytes, type Pubkey } from '../hash.js';

/**
 * Seats of one submission, each drawn linearly in stake among the keys that have none yet. A square root would reward who splits its stake
 * over many keys.
 *
 * The i-th seat, i from 0: w = first 16 bytes of SHA-256("nmkt/1/seat" || seed || u32 i), big-endian; with W the stake that is left and the
 * keys in order, it goes to the key in whose part floor(w W / 2^128) falls.
 *
 * @param stakes  keys without stake are never drawn
 * @returns       at most `seats` keys, in the order drawn
 */
export function drawSeats(seed: Bytes, stakes: ReadonlyMap<Pubkey, bigint>, seats: number): Pubkey[] {
  const left = [...stakes].filter(([, stake]) => stake > 0n).sort(([a], [b]) => (a < b ? -1 : 1));
  let total = left.reduce((sum, [, stake]) => sum + stake, 0n);
  const drawn: Pubkey[] = [];
  while (drawn.length < seats && left.length > 0) {
    const word = sha256('nmkt/1/seat', seed, u32be(drawn.length)).subarray(0, 16);
    let at = (word.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n) * total) >> 128n;
    const index = left.findIndex(([, stake]) => (at -= stake) < 0n);
    const [[key, stake]] = left.splice(index, 1) as [[Pubkey, bigint]];
    drawn.push(key);
    total -= stake;
  }
  return drawn;
}

/**
 * The probability that colluders get at least so many of the seats: exact but for rounding, by the keys drawn so far.
 *
 * @param stakes  at most 20 keys, each with whether it colludes
 */
export function collusionProbability(
  stakes: readonly { readonly stake: number; readonly colludes: boolean }[],
  seats: number,
  atLeast: number,
): number {
  let reached = new Map<number, number>([[0, 1]]);
  for (let seat = 0; seat < Math.min(seats, stakes.length); seat++) {
    const next = new Map<number, number>();
    for (const [drawn, chance] of reached) {
      const open = stakes.map(({ stake }, i) => (hasBit(drawn, i) ? 0 : stake));
      const total = open.reduce((sum, stake) => sum + stake, 0);
      for (const [i, stake] of open.entries()) {
        if (stake === 0) continue;
        const set = drawn + (1 << i);
        next.set(set, (next.get(set) ?? 0) + (chance * stake) / total);
      }
    }
    reached = next;
  }
  let sum = 0;
  for (const [drawn, chance] of reached)
    if (stakes.filter(({ colludes }, i) => colludes && hasBit(drawn, i)).length >= atLeast) sum += chance;
  return sum;
}

const hasBit = (set: number, i: number): boolean => (set & (1 << i)) !== 0;
