import { readFileSync } from 'node:fs';

/** Hex in lowercase; no secret where there is only a signature to check. */
export interface Row {
  readonly index: string;
  readonly secret: string;
  readonly publicKey: string;
  readonly auxiliary: string;
  readonly message: string;
  readonly signature: string;
  readonly isValid: boolean;
}

/** The vectors of BIP-340, https://github.com/bitcoin/bips/blob/master/bip-0340/test-vectors.csv. */
export const rows: readonly Row[] = readFileSync(new URL('../vectors/secp/bip340.csv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => {
    const [index, secret, publicKey, auxiliary, message, signature, result] = line.toLowerCase().split(',') as [
      string,
      ...string[],
    ];
    return { index, secret, publicKey, auxiliary, message, signature, isValid: result === 'true' } as Row;
  });
