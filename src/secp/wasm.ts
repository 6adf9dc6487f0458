import { createRequire } from 'node:module';
import type { Schnorr } from './curve.js';

type Tiny = typeof import('tiny-secp256k1');

/** Once made, WebAssembly is compiled: only who needs it pays for that. @throws ReferenceError where Node has no WebAssembly */
export function tiny(): Tiny {
  return (loaded ??= createRequire(import.meta.url)('tiny-secp256k1') as Tiny);
}
let loaded: Tiny | undefined;

/** tiny-secp256k1: libsecp256k1 as WebAssembly, no compiler, ten times the speed of pure JavaScript. */
export function loadTiny(): Schnorr {
  const { isPrivate, xOnlyPointFromScalar, signSchnorr, verifySchnorr } = tiny();
  return {
    name: 'tiny-secp256k1',
    isValidSecret: isPrivate,
    publicKey: xOnlyPointFromScalar,
    sign: signSchnorr,
    verify(hash, publicKey, signature) {
      try {
        return verifySchnorr(hash, publicKey, signature);
      } catch {
        return false; // no point, or no scalar
      }
    },
  };
}
