import { createRequire } from 'node:module';
import type { Schnorr } from './curve.js';

type Noble = typeof import('@noble/curves/secp256k1.js');

/** @noble/curves: pure JavaScript, where Node runs without WebAssembly. A hundredth of the speed of the native library. */
export function loadNoble(): Schnorr {
  const { schnorr, secp256k1 } = createRequire(import.meta.url)('@noble/curves/secp256k1.js') as Noble;
  return {
    name: 'noble',
    isValidSecret: (secret) => secp256k1.utils.isValidSecretKey(secret),
    publicKey: (secret) => schnorr.getPublicKey(secret),
    sign: (hash, secret, auxiliary) => schnorr.sign(hash, secret, auxiliary),
    verify: (hash, publicKey, signature) => schnorr.verify(signature, hash, publicKey),
  };
}
