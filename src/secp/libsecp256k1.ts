import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Bytes } from '../hash.js';
import type { Schnorr } from './curve.js';

/**
 * libsecp256k1 of the operating system through koffi: ten times the signatures per second of its build as WebAssembly.
 * Signatures of functions: include/secp256k1_schnorrsig.h and secp256k1_extrakeys.h of version 0.2.0 and later, the first
 * with `schnorrsig_sign32` (https://github.com/bitcoin-core/secp256k1).
 */

/** Sonames from 0.2 (1) to 0.7 (6); of older ones the module of Schnorr signatures is not stable. */
const SONAMES = [6, 5, 4, 3, 2, 1];

/** Where libraries of that name may be, as `dlopen` takes it. */
export function libraryNames(platform: NodeJS.Platform): readonly string[] {
  if (platform === 'win32') return SONAMES.map((version) => `libsecp256k1-${version}.dll`);
  if (platform !== 'darwin') return SONAMES.map((version) => `libsecp256k1.so.${version}`);
  return ['/opt/homebrew/lib', '/usr/local/lib'].flatMap((dir) =>
    SONAMES.map((version) => `${dir}/libsecp256k1.${version}.dylib`),
  );
}

type Native = (...values: readonly unknown[]) => unknown;
interface Koffi {
  load(path: string): { func(prototype: string): Native };
}

/** SECP256K1_CONTEXT_NONE: the flags that told signing from verifying are deprecated. */
const CONTEXT_NONE = 1;
const [KEYPAIR_BYTES, PARSED_BYTES] = [96, 64];

/**
 * @param names  tried in order
 * @throws       Error when koffi or every library is absent, or a function is missing
 */
export function loadLibsecp256k1(names: readonly string[]): Schnorr {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const native = bind(koffi, names);
  const context = native.createContext(CONTEXT_NONE);
  // Blinds the multiplications with secrets against who measures their time or power.
  if (native.randomize(context, randomBytes(32)) !== 1) throw new Error('libsecp256k1 does not start');

  const keypair = new Uint8Array(KEYPAIR_BYTES);
  const parsed = new Uint8Array(PARSED_BYTES);
  // Thousands of chunks are signed, and verified, under one key.
  let keypairOf: Bytes | undefined;
  let parsedOf: Bytes | undefined;
  const useKeypair = (secret: Bytes): void => {
    if (keypairOf !== undefined && Buffer.compare(keypairOf, secret) === 0) return;
    keypairOf = undefined;
    if (native.createKeypair(context, keypair, secret) !== 1) throw new RangeError('not a secret key');
    keypairOf = Uint8Array.from(secret);
  };
  return {
    name: 'libsecp256k1',
    isValidSecret: (secret) => native.isSecret(context, secret) === 1,
    publicKey(secret) {
      useKeypair(secret);
      const [point, x] = [new Uint8Array(PARSED_BYTES), new Uint8Array(32)];
      native.publicOf(context, point, null, keypair);
      native.serialize(context, x, point);
      return x;
    },
    sign(hash, secret, auxiliary) {
      useKeypair(secret);
      const signature = new Uint8Array(64);
      if (native.sign(context, signature, hash, keypair, auxiliary) !== 1) throw new Error('libsecp256k1 did not sign');
      return signature;
    },
    verify(hash, publicKey, signature) {
      if (parsedOf === undefined || Buffer.compare(parsedOf, publicKey) !== 0) {
        parsedOf = undefined;
        if (native.parse(context, parsed, publicKey) !== 1) return false;
        parsedOf = Uint8Array.from(publicKey);
      }
      return native.verify(context, signature, hash, hash.length, parsed) === 1;
    },
  };
}

function bind(koffi: Koffi, names: readonly string[]) {
  const library = open(koffi, names);
  const bytes = 'uint8_t *';
  return {
    createContext: library.func('void *secp256k1_context_create(unsigned int flags)'),
    randomize: library.func(`int secp256k1_context_randomize(void *context, ${bytes}seed)`),
    isSecret: library.func(`int secp256k1_ec_seckey_verify(void *context, ${bytes}secret)`),
    createKeypair: library.func(`int secp256k1_keypair_create(void *context, ${bytes}keypair, ${bytes}secret)`),
    publicOf: library.func(
      `int secp256k1_keypair_xonly_pub(void *context, ${bytes}point, void *parity, ${bytes}keypair)`,
    ),
    serialize: library.func(`int secp256k1_xonly_pubkey_serialize(void *context, ${bytes}x, ${bytes}point)`),
    parse: library.func(`int secp256k1_xonly_pubkey_parse(void *context, ${bytes}point, ${bytes}x)`),
    sign: library.func(
      `int secp256k1_schnorrsig_sign32(void *context, ${bytes}signature, ${bytes}hash, ${bytes}keypair, ${bytes}auxiliary)`,
    ),
    verify: library.func(
      `int secp256k1_schnorrsig_verify(void *context, ${bytes}signature, ${bytes}hash, size_t length, ${bytes}point)`,
    ),
  };
}

function open(koffi: Koffi, names: readonly string[]): { func(prototype: string): Native } {
  for (const name of names) {
    try {
      return koffi.load(name);
    } catch {
      // not this one
    }
  }
  throw new Error(`none of ${names.join(', ')} is on this machine`);
}
