import { scrypt } from 'node:crypto';
import { z } from 'zod';
import { NmktError } from '../errors.js';
import { fromHex, hex, utf8, type Bytes, type Pubkey } from '../hash.js';
import type { RandomBytes, Signer } from '../ports.js';
import { openChunk, sealChunk } from './seal.js';

/** The readable head of a backup: whose it is, when it was made, and the ways to its content key. */

export const MAGIC = 'nmkt-backup 1\n';
/** Of the header's JSON. */
export const MAX_HEADER_BYTES = 8_192;
/** As NIP-49 does it: scrypt with r 8 and p 1; 2^17 takes 128 MiB. */
const LOG_N = 17;
const PASSWORD_AAD = utf8('nmkt/1/backup password');
export const MIN_PASSWORD_LENGTH = 8;

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const lock = z.discriminatedUnion('type', [
  /** The content key as hex, NIP-44 from the owner's key to itself. */
  z.strictObject({ type: z.literal('nip44'), payload: z.string().max(1_024) }),
  /** The content key under a key of scrypt(password, salt). A larger `logN` would let a file eat the memory. */
  z.strictObject({
    type: z.literal('scrypt'),
    logN: z.int().min(14).max(18),
    salt: hex32,
    sealed: z.string().regex(/^[0-9a-f]{96}$/),
  }),
]);
const header = z.strictObject({
  v: z.literal(1),
  createdAt: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  pubkey: hex32.transform((text) => text as Pubkey),
  locks: z.array(lock).min(1).max(2),
});
export type BackupHeader = z.infer<typeof header>;

/** @throws NmktError `bad-backup` */
export function parseHeader(bytes: Bytes): BackupHeader {
  try {
    return header.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw badBackup('its header does not parse', 'a header of version 1', `${bytes.length} other bytes`, cause);
  }
}

export async function makeHeader(
  contentKey: Bytes,
  options: {
    readonly signer: Signer;
    readonly createdAt: number;
    readonly password: string | undefined;
    readonly random: RandomBytes;
  },
): Promise<Bytes> {
  const { signer, createdAt, password, random } = options;
  const locks: BackupHeader['locks'] = [
    { type: 'nip44', payload: await signer.encrypt(signer.pubkey, hex(contentKey)) },
  ];
  if (password !== undefined) {
    const salt = random(32);
    const sealed = sealChunk(await passwordKey(password, salt, LOG_N), PASSWORD_AAD, 0, true, contentKey);
    locks.push({ type: 'scrypt', logN: LOG_N, salt: hex(salt), sealed: hex(sealed) });
  }
  return utf8(JSON.stringify({ v: 1, createdAt, pubkey: signer.pubkey, locks } satisfies BackupHeader));
}

/** @throws NmktError `wrong-key` */
export async function unlockWithKey({ pubkey, locks }: BackupHeader, signer: Signer): Promise<Bytes> {
  const found = locks.find((one) => one.type === 'nip44');
  if (found === undefined || signer.pubkey !== pubkey)
    throw new NmktError('wrong-key', 'the backup is sealed to another key', {
      expected: found === undefined ? 'its password' : `the key of ${pubkey}`,
      got: `the key of ${signer.pubkey}`,
      remedy: 'name that key with --key-file FILE, or the password of the backup with --password-file FILE',
    });
  const text = await signer.decrypt(pubkey, found.payload);
  if (/^[0-9a-f]{64}$/.test(text)) return fromHex(text);
  throw badBackup('its content key is none', '32 bytes as hex', `${text.length} characters`);
}

/** @throws NmktError `wrong-key` */
export async function unlockWithPassword({ locks }: BackupHeader, password: string): Promise<Bytes> {
  const found = locks.find((one) => one.type === 'scrypt');
  const key =
    found &&
    openChunk(
      await passwordKey(password, fromHex(found.salt), found.logN),
      PASSWORD_AAD,
      0,
      true,
      fromHex(found.sealed),
    );
  if (key !== undefined) return key;
  throw new NmktError('wrong-key', 'the password does not open the backup', {
    expected: found === undefined ? 'the key it is sealed to: it was made without a password' : 'its password',
    got: 'another one',
    remedy:
      found === undefined ? 'name the key with --key-file FILE and leave the password out' : 'try another password',
  });
}

/** NFKC, as NIP-49 demands, so that two keyboards type the same password. */
async function passwordKey(password: string, salt: Bytes, logN: number): Promise<Bytes> {
  const [N, r] = [2 ** logN, 8];
  return new Promise((done, fail) => {
    scrypt(password.normalize('NFKC'), salt, 32, { N, r, p: 1, maxmem: 256 * N * r }, (error, key) =>
      error === null ? done(key) : fail(error),
    );
  });
}

export function badBackup(what: string, expected: string, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-backup', `the backup cannot be used: ${what}`, {
    expected,
    got,
    remedy: 'use another copy of the file, or another backup; nothing was restored',
    cause,
  });
}
