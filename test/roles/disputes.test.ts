import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import { owedMsat } from '../../src/market/state.js';
import { createWorld, type CustomerOptions, type World, type WorldOptions } from '../support/market-world.js';
import { tampering } from './rogue.js';

const LIE = sha256Hex('something else');

/** Gives validators nothing, so that its own scores count, and says that the segment of one trainer ends in something else. */
const lying = (world: World, victim: string): CustomerOptions => ({
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
              row.trainer === victim ? { ...row, spot: { ...row.spot, hash: LIE } } : row,
            ),
          }
        : undefined,
    ),
});

const world = (name: string, options: WorldOptions = {}) =>
  createWorld({
    ...{ name, trainers: 3, validators: 3, rounds: 2 },
    ...options,
    job: { quorum: 2, award: 'deadline', validators: 3, ...options.job },
  });

describe('a customer that calls honest work forged', () => {
  it('is shown wrong by a drawn validator: the round is owed to the trainer, and what was settled before as well', async () => {
    const market = await world('a false fraud');
    const victim = market.trainers[1]!.signer.pubkey;
    const { state, ends } = await market.run({ customer: lying(market, victim) });
    expect(state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(state.frauds.get(victim)!.content.repeated).toBe(LIE);
    const [dispute] = state.disputes;
    expect(dispute).toMatchObject({ outcome: 'trainer', owedMsat: 21_000n, liars: [] });
    expect(dispute!.order).toHaveLength(3);
    expect(dispute!.verdicts.map(({ author }) => author)).toEqual([dispute!.order![0]]);
    expect(ends[1]).toMatchObject({ end: 'lost', why: expect.stringContaining('the proof is false') as string });
    expect(owedMsat(state, victim)).toBe(21_000n);
  });
});
