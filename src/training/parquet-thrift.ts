/**
 * Walks a struct of Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) without
 * building anything: hyparquet believes the lengths it reads, so they are looked at first.
 */

const MAX_DEPTH = 16;
/** Of strings inside lists: names, paths and statistics; the texts that writers add to a footer stand outside, in its last fields. */
const MAX_TEXT = 4_096;
const ROW_GROUPS = 4;

interface Walk {
  readonly bytes: Uint8Array;
  at: number;
}

/** @returns the unsigned number, exact below 2^53 */
export function varint(walk: Walk): number {
  let value = 0;
  for (let scale = 1, count = 0; count < 10; count++, scale *= 128) {
    const byte = walk.bytes[walk.at++];
    if (byte === undefined) throw new RangeError('a number that goes on after the end');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  throw new RangeError('a number of more than ten bytes');
}

function zigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/**
 * @param maxText  of strings in field 4, which in a footer holds the row groups
 * @returns        where the struct ends
 * @throws RangeError for what goes on after the end, is nested deeper than 16, or of a type that Parquet does not use
 */
export function structEnd(bytes: Uint8Array, from: number, maxText = MAX_TEXT): number {
  const walk = { bytes, at: from };
  skipStruct(walk, 0, maxText);
  return walk.at;
}

function skipStruct(walk: Walk, depth: number, maxText: number): void {
  if (depth > MAX_DEPTH) throw new RangeError('structs nested too deep');
  for (let field = 0; ;) {
    const head = walk.bytes[walk.at++];
    if (head === undefined) throw new RangeError('a struct without an end');
    if (head === 0) return;
    field = head >> 4 === 0 ? zigzag(varint(walk)) : field + (head >> 4);
    const isFree = depth === 0 && field !== ROW_GROUPS;
    skipValue(walk, head & 15, depth, isFree ? walk.bytes.length : maxText, false);
  }
}

function skipValue(walk: Walk, type: number, depth: number, maxText: number, isItem: boolean): void {
  switch (type) {
    case 1: // true, false: in the head of a field, a byte in a list
    case 2:
      if (isItem) walk.at += 1;
      break;
    case 3:
      walk.at += 1;
      break;
    case 4:
    case 5:
    case 6:
      varint(walk);
      break;
    case 7:
      walk.at += 8;
      break;
    case 8: {
      const length = varint(walk);
      if (length > Math.min(maxText, walk.bytes.length - walk.at)) throw new RangeError(`a text of ${length} bytes`);
      walk.at += length;
      break;
    }
    case 9: {
      const head = walk.bytes[walk.at++] ?? 0;
      const count = head >> 4 === 15 ? varint(walk) : head >> 4;
      if (count > walk.bytes.length - walk.at) throw new RangeError(`a list of ${count} items`);
      if (depth > MAX_DEPTH) throw new RangeError('lists nested too deep');
      for (let item = 0; item < count; item++) skipValue(walk, head & 15, depth + 1, maxText, true);
      break;
    }
    case 12:
      skipStruct(walk, depth + 1, maxText);
      break;
    default:
      throw new RangeError(`a value of type ${type}`);
  }
  if (walk.at > walk.bytes.length) throw new RangeError('a value that goes on after the end');
}
