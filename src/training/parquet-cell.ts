import type { SchemaElement } from 'hyparquet';
import { parseFloat16 } from 'hyparquet/src/convert.js';
import { badTable } from './table.js';
import type { CellOf } from './parquet-page.js';

/** What a column of a Parquet file means, as the text that CSV would have. */

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Not a number is how pandas says that a number is missing. */
const float: CellOf = (value) => {
  const number = value as number;
  return Number.isNaN(number) ? '' : Number.isFinite(number) ? String(number) : undefined;
};
const text: CellOf = (value) => {
  try {
    return utf8.decode(value as Uint8Array);
  } catch {
    return undefined;
  }
};
const shown: CellOf = (value) => String(value);

/** Big-endian, two's complement. */
function bigInteger(bytes: Uint8Array): bigint {
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x0${Buffer.from(bytes).toString('hex')}`));
}

/** 1234 of scale 2 is 12.34, every digit of it. */
function decimal(scale: number): CellOf {
  return (value) => {
    const unscaled = value instanceof Uint8Array ? bigInteger(value) : BigInt(value as number | bigint);
    const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
    const whole = digits.slice(0, digits.length - scale);
    return `${unscaled < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(-scale)}`}`;
  };
}

const INTEGERS = /^U?INT_(8|16|32|64)$/;
const MAX_DECIMAL_BYTES = 32;

/**
 * @throws NmktError `bad-dataset` naming the column, for lists, groups, times, dates, binary and what else is neither number, text nor
 *         boolean
 */
export function cellOf(element: SchemaElement): CellOf {
  const { name, type, num_children: children, repetition_type: repetition } = element;
  const logical = element.logical_type;
  const meaning = logical?.type ?? element.converted_type;
  const refuse = (got: string) =>
    badTable(
      `column "${name}" is of a type that is not read`,
      `leave it out with --drop "${name}", or write it as numbers or text`,
      'numbers, text or booleans',
      got,
    );
  if ((children ?? 0) > 0 || repetition === 'REPEATED')
    throw refuse(`a ${(meaning ?? 'group').toLowerCase()} of values`);
  if (meaning === 'DECIMAL') {
    const scale = (logical?.type === 'DECIMAL' ? logical.scale : element.scale) ?? 0;
    const isShort = type === 'FIXED_LEN_BYTE_ARRAY' && (element.type_length ?? 0) <= MAX_DECIMAL_BYTES;
    if ((isShort || type === 'INT32' || type === 'INT64') && scale >= 0 && scale <= 38) return decimal(scale);
    throw refuse(`DECIMAL as ${type ?? 'nothing'}, scale ${scale}`);
  }
  if (meaning === undefined) {
    if (type === 'BOOLEAN' || type === 'INT32' || type === 'INT64') return shown;
    if (type === 'FLOAT' || type === 'DOUBLE') return float;
  }
  const isText = meaning === 'UTF8' || meaning === 'STRING' || meaning === 'ENUM';
  if (isText && type === 'BYTE_ARRAY') return text;
  if (meaning === 'FLOAT16' && type === 'FIXED_LEN_BYTE_ARRAY' && element.type_length === 2)
    return (value) => float(parseFloat16(value as Uint8Array));
  const isInteger = logical?.type === 'INTEGER' || INTEGERS.test(meaning ?? '');
  if (isInteger && (type === 'INT32' || type === 'INT64')) {
    const isSigned = logical?.type === 'INTEGER' ? logical.isSigned : meaning!.startsWith('INT');
    if (isSigned) return shown;
    return (value) => String(typeof value === 'bigint' ? BigInt.asUintN(64, value) : (value as number) >>> 0);
  }
  throw refuse(`${type ?? 'nothing'}${meaning === undefined ? '' : ` as ${meaning}`}`);
}
