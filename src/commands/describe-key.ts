import type { KeyReport } from '../config/identity.js';

/** How the private key is kept, without any of it. */
export function describeForm({ form, bunker }: KeyReport): readonly string[] {
  if (bunker !== null)
    return [
      `in a bunker${bunker.isConnected ? '' : ', not connected yet'}: ${bunker.pubkey}`,
      ...bunker.relays.map((url) => `reached over ${url}`),
    ];
  return form === 'encrypted' ? ['encrypted with a password'] : [];
}
