import { fromHex, hex } from '../hash.js';
import type { Schnorr } from './curve.js';

/**
 * Rows 1, 4, 5, 6 and 13 of https://github.com/bitcoin/bips/blob/master/bip-0340/test-vectors.csv: one to sign and one more
 * to accept; no point, an odd y, and s = n to refuse.
 */
interface Row {
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
  readonly isValid: boolean;
}
const SECRET = 'b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef';
const AUXILIARY = '0000000000000000000000000000000000000000000000000000000000000001';
const MESSAGE = '243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89';
const rows: readonly [Row, ...Row[]] = [
  {
    publicKey: 'dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659',
    message: MESSAGE,
    signature:
      '6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de33418906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a',
    isValid: true,
  },
  {
    publicKey: 'd69c3509bb99e412e68b0fe8544e72837dfa30746d8be2aa65975f29d22dc7b9',
    message: '4df3c3f68fcc83b27e9d42c90431a72499f17875c81a599b566c9889b9696703',
    signature:
      '00000000000000000000003b78ce563f89a0ed9414f5aa28ad0d96d6795f9c6376afb1548af603b3eb45c9f8207dee1060cb71c04e80f593060b07d28308d7f4',
    isValid: true,
  },
  {
    publicKey: 'eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34',
    message: MESSAGE,
    signature:
      '6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e17776969e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b',
    isValid: false,
  },
  {
    publicKey: 'dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659',
    message: MESSAGE,
    signature:
      'fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a14602975563cc27944640ac607cd107ae10923d9ef7a73c643e166be5ebeafa34b1ac553e2',
    isValid: false,
  },
  {
    publicKey: 'dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659',
    message: MESSAGE,
    signature:
      '6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
    isValid: false,
  },
];

/**
 * An implementation that signs or verifies otherwise is not used, however fast.
 *
 * @throws Error naming what differs
 */
export function selfTest(schnorr: Schnorr): void {
  const [first] = rows;
  const secret = fromHex(SECRET);
  const isSecret = schnorr.isValidSecret(secret) && !schnorr.isValidSecret(new Uint8Array(32));
  if (!isSecret) throw new Error('its check of secret keys differs from BIP-340');
  if (hex(schnorr.publicKey(secret)) !== first.publicKey) throw new Error('its public key differs from BIP-340');
  if (hex(schnorr.sign(fromHex(MESSAGE), secret, fromHex(AUXILIARY))) !== first.signature)
    throw new Error('its signature differs from BIP-340');
  for (const { message, publicKey, signature, isValid } of rows)
    if (schnorr.verify(fromHex(message), fromHex(publicKey), fromHex(signature)) !== isValid)
      throw new Error(`it ${isValid ? 'refuses' : 'accepts'} a signature against BIP-340`);
}
