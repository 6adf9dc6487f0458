import { z } from 'zod';
import type { Bytes, EventId, Pubkey, Sha256 } from '../hash.js';
import { fromHex } from '../hash.js';

/** Wire scalars. Every one has a size limit and one canonical spelling. */

const HEX64 = /^[0-9a-f]{64}$/;
const hex64 = () => z.string().regex(HEX64, 'expected 64 lowercase hex digits');

export const eventId = hex64() as unknown as z.ZodType<EventId, EventId>;
export const pubkey = hex64() as unknown as z.ZodType<Pubkey, Pubkey>;
export const sha256Hex = hex64() as unknown as z.ZodType<Sha256, Sha256>;

/** 32 secret or salt bytes as 64 hex digits. */
export const bytes32 = z.codec(
  hex64(),
  z.custom<Bytes>((value) => value instanceof Uint8Array && value.length === 32),
  {
    decode: (text) => fromHex(text),
    encode: (bytes) => Buffer.from(bytes).toString('hex'),
  },
);

/** 21 million bitcoin. */
const MAX_MSAT = 2_100_000_000_000_000_000n;

/** Money: a decimal string of msat on the wire, bigint in memory; at most 21 million bitcoin. */
export const msat = z.codec(
  z.string().regex(/^(0|[1-9][0-9]{0,18})$/, 'expected a decimal string of msat'),
  z.bigint().max(MAX_MSAT, 'more than all bitcoin'),
  {
    decode: (text) => BigInt(text),
    encode: (value) => value.toString(),
  },
);

/** Integer in [min, max], both safe. */
export const int = (min: number, max: number) => z.int().min(min).max(max);

/** Parts per million, signed; clamped by whoever measures. */
export const ppm = int(-1_000_000_000_000, 1_000_000_000_000);

export const unixSec = int(0, 4_102_444_800);

/** A mean loss in parts per million: never negative. */
export const loss = int(0, 1_000_000_000_000);

/** A number > 0 as a decimal string: at most 12 digits before and 12 after the point, no zero at the end. */
export const positiveDecimal = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,11})(\.[0-9]{0,11}[1-9])?$/, 'expected a decimal string')
  .refine((value) => value !== '0', 'expected more than 0');

/** A number of a data schema: nine digits after the point, no minus on zero. */
export const decimal9 = z
  .string()
  .regex(/^-?(0|[1-9][0-9]{0,15})\.[0-9]{9}$/, 'expected a decimal string with nine places')
  .refine((value) => value !== '-0.000000000', 'expected no minus on zero');

/** UTF-8 text of at most `max` UTF-16 units without control characters. */
export const text = (max: number) =>
  z
    .string()
    .max(max)
    // eslint-disable-next-line no-control-regex -- control characters are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'expected text without control characters');

export const relayUrl = z
  .string()
  .max(256)
  .regex(/^wss?:\/\/[!-~]+$/, 'expected a ws:// or wss:// address');

/** Standard base64 with padding and no stray low bits (RFC 4648, 3.5). */
export const base64 = (maxChars: number) =>
  z
    .string()
    .max(maxChars)
    .regex(
      /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/,
      'expected canonical base64',
    );

/** A NIP-44 v2 payload: base64, at most what a 65,535 byte plaintext gives. */
export const nip44Payload = base64(87_472).min(132);

/** The event rests on an absence that only half of the relays confirmed that should know, after a grace. */
export const degraded = z.literal(true).optional();
