import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import { isValidSecret } from '../schnorr.js';
import { readTextFile, requirePrivate } from './secret-file.js';

/** Private keys under a password (NIP-49: scrypt and XChaCha20-Poly1305). */

/** scrypt takes 2^n KiB of memory: a gibibyte at 20. Others' keys may ask for more than this machine has. */
const MAX_LOG_N = 20;

/** @throws NmktError `wrong-password`, `bad-key` */
export async function openEncryptedKey(ncryptsec: string, password: string, origin: string): Promise<Bytes> {
  await checkCost(ncryptsec, origin);
  const { decrypt } = await import('nostr-tools/nip49');
  let secret: Bytes;
  try {
    secret = decrypt(ncryptsec, password);
  } catch (cause) {
    throw new NmktError('wrong-password', `the password does not open the key (${origin})`, {
      expected: 'the password it was encrypted with',
      got: 'another one',
      remedy: 'type it again, or correct NMKT_KEY_PASSWORD or the file of --key-password-file',
      cause,
    });
  }
  if (isValidSecret(secret)) return secret;
  throw bad(origin, 'a private key of secp256k1', 'other bytes');
}

export async function encryptKey(secret: Bytes, password: string): Promise<string> {
  const { encrypt } = await import('nostr-tools/nip49');
  return encrypt(secret, password);
}

async function checkCost(ncryptsec: string, origin: string): Promise<void> {
  const { bech32 } = await import('@scure/base');
  let bytes: Bytes;
  try {
    bytes = bech32.fromWords(bech32.decode(ncryptsec as `${string}1${string}`, 5_000).words);
  } catch {
    throw bad(origin, 'ncryptsec1… with its checksum', 'a wrong checksum or length');
  }
  const [version, logN = 0] = bytes;
  if (version !== 2 || bytes.length !== 91) throw bad(origin, 'version 2 of NIP-49', `version ${version ?? 'none'}`);
  if (logN > MAX_LOG_N) throw bad(origin, `scrypt with 2^${MAX_LOG_N} or less`, `2^${logN}`);
}

/** One line; only its end of line is taken off, for a password may begin or end with a space. */
export async function readPasswordFile(path: string, namedBy: string): Promise<string> {
  const file = await readTextFile(path, namedBy);
  requirePrivate(file, path);
  return file.text.replace(/\r?\n$/, '');
}

function bad(origin: string, expected: string, got: string): NmktError {
  return new NmktError('bad-key', `the encrypted key is not usable (${origin})`, {
    expected,
    got,
    remedy: 'copy the whole text again, or use another key',
  });
}
