import { sha256Hex } from '../../src/hash.js';
import type { CustomerOptions, World } from '../support/market-world.js';
import { tampering } from './rogue.js';

/** A customer that calls honest work forged. */

export const LIE = sha256Hex('something else');

/** Gives validators nothing, so that its own scores count, and says that the segment of one trainer ends in something else. */
export const lying = (world: World, victim: string, segment?: number): CustomerOptions => ({
  adapt: (env) => ({
    ...env,
    relays: {
      ...env.relays,
      publish: async (event, urls) => {
        const to = event.tags.find(([name]) => name === 'p')?.[1];
        const isHidden = event.kind === 1059 && world.validators.some(({ signer }) => signer.pubkey === to);
        if (!isHidden) return env.relays.publish(event, urls);
        return (urls ?? env.relays.urls).map((relay) => ({ relay, state: 'stored' as const, message: '' }));
      },
    },
  }),
  signer: (own) =>
    tampering(own, (phase, content) =>
      phase === 'reveal' && 'scores' in content
        ? {
            ...content,
            scores: (content['scores'] as { trainer: string; spot: object | null }[]).map((row) =>
              row.trainer === victim
                ? { ...row, spot: { ...row.spot, ...(segment !== undefined && { segment }), hash: LIE } }
                : row,
            ),
          }
        : undefined,
    ),
});

/** It does not settle what drawn validators find that it owes. */
export const unwilling = (liar: CustomerOptions): CustomerOptions => ({
  ...liar,
  signer: (own) => {
    const lies = liar.signer!(own);
    return {
      ...lies,
      sign: async (template) => {
        if (template.kind === 4630 && template.content.includes('correction')) throw new Error('it does not pay');
        return lies.sign(template);
      },
    };
  },
});
