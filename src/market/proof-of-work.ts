/** NIP-13: zero bits at the front of an id. @see https://github.com/nostr-protocol/nips/blob/master/13.md */
export function leadingZeroBits(id: string): number {
  let bits = 0;
  for (const digit of id) {
    const value = parseInt(digit, 16);
    if (value !== 0) return bits + (value < 2 ? 3 : value < 4 ? 2 : value < 8 ? 1 : 0);
    bits += 4;
  }
  return bits;
}
