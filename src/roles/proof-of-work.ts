import { NmktError } from '../errors.js';
import { hex, sha256, type Pubkey } from '../hash.js';
import { leadingZeroBits } from '../market/proof-of-work.js';
import type { EventTemplate } from '../ports.js';

/** What a bidder does at most, in bits: four million hashes on average, some ten seconds. */
export const MAX_OWN_POW = 22;
/** Tries between two looks at the rest of the program. */
const SLICE = 20_000;

/**
 * The template with a `nonce` that gives its id so many zero bits (NIP-13).
 *
 * @throws NmktError `too-large` above MAX_OWN_POW, before anything is tried
 */
export async function mine(template: EventTemplate, pubkey: Pubkey, bits: number): Promise<EventTemplate> {
  if (bits > MAX_OWN_POW)
    throw new NmktError('too-large', 'the job asks for more work on a bid than is done here', {
      expected: `at most ${MAX_OWN_POW} bits`,
      got: `${bits} bits, about ${2 ** bits} hashes`,
      remedy: 'bid on other jobs',
    });
  const withNonce = (nonce: number): EventTemplate => ({
    ...template,
    tags: [...template.tags, ['nonce', String(nonce), String(bits)]],
  });
  const { created_at, kind, content } = template;
  const [before, after] = JSON.stringify([0, pubkey, created_at, kind, withNonce(NaN).tags, content]).split('NaN');
  for (let nonce = 0; ; nonce++) {
    if (leadingZeroBits(hex(sha256(before!, String(nonce), after!))) >= bits) return withNonce(nonce);
    if (nonce % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
