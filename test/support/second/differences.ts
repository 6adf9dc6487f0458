/** Words of the parts of docs/protocol.md, Differences; of one that comes alone its length is known. The whole stream is one number, and what is left of it above the low end of the range is carried along. */
export function readDifference(parts: readonly (readonly number[] | number)[], file: Uint8Array): number[][] {
  const bytes = Buffer.from(file);
  let taken = 5;
  let range = 0xffffffffn;
  let left = BigInt(`0x${bytes.subarray(0, 5).toString('hex')}`);
  if (bytes.length < 5 || left >= range) throw new Error('no number below the range');
  const refill = (): void => {
    for (; range < 1n << 24n; taken++) {
      if (taken >= bytes.length) throw new Error('ends early');
      range <<= 8n;
      left = (left << 8n) + BigInt(bytes[taken]!);
    }
  };
  const odds = new Map<string, bigint>();
  const decide = (place: string): number => {
    const odd = odds.get(place) ?? 1n << 14n;
    const zero = (range >> 15n) * odd;
    const bit = left < zero ? 0 : 1;
    [left, range] = bit === 0 ? [left, zero] : [left - zero, range - zero];
    odds.set(place, bit === 0 ? odd + (((1n << 15n) - odd) >> 5n) : odd - (odd >> 5n));
    refill();
    return bit;
  };
  const even = (width: number): bigint => {
    range >>= BigInt(width);
    const value = left / range;
    if (value >> BigInt(width) > 0n) throw new Error('above the range');
    left -= value * range;
    refill();
    return value;
  };
  const step = (word: number): number => {
    const exponent = (word >>> 23) & 255;
    if (decide(`${exponent} any`) === 0) return word;
    let path = '';
    while (path.length < 5) path += decide(`${exponent} length ${path}`);
    const width = Number.parseInt(path, 2);
    const isBelow = even(1) === 1n;
    const high = width > 16 ? even(width - 16) : 0n;
    const size = (1n << BigInt(width)) + (high << 16n) + even(Math.min(width, 16));
    const from = word >>> 31 === 1 ? -1n - BigInt(word & 0x7fffffff) : BigInt(word);
    const to = isBelow ? from - size : from + size;
    const magnitude = to < 0n ? -1n - to : to;
    if (magnitude >= 0x7f800000n) throw new Error('not finite');
    return Number(to < 0n ? magnitude + (1n << 31n) : magnitude);
  };
  const alone = (tensor: number): number => {
    let path = '';
    while (path.length < 9) path += decide(`${tensor} alone ${path}`);
    const exponent = Number.parseInt(path.slice(1), 2);
    if (exponent === 255) throw new Error('not finite');
    const high = Number.parseInt(path, 2) * 2 ** 23;
    if (exponent === 0 && decide(`${tensor} zero`) === 0) return high;
    const mantissa = (even(7) << 16n) + even(16);
    if (exponent === 0 && mantissa === 0n) throw new Error('another spelling of zero');
    return high + Number(mantissa);
  };
  const words = parts.map((part, tensor) =>
    typeof part === 'number' ? Array.from({ length: part }, () => alone(tensor)) : part.map(step),
  );
  if (left !== 0n || taken !== bytes.length) throw new Error('goes on, or ends elsewhere');
  return words;
}
