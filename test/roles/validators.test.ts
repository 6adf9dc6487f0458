import { describe, expect, it } from 'vitest';
import { paidMsat } from '../../src/market/state.js';
import { createWorld } from '../support/market-world.js';

const FEE = { validators: 3, validatorFeeSats: 5 };

describe('a job with three validators', () => {
  it('is accepted by their median, pays each its fee, and passes the audit', async () => {
    const world = await createWorld({ name: 'validators', validators: 3, job: FEE });
    const before = world.totalMsat();
    const { state, customer, ends, scorers } = await world.run();
    expect(customer).not.toBeInstanceOf(Error);
    expect(state).toMatchObject({ phase: 'finished', firstBad: null, missing: [] });
    expect(state.rounds.map(({ verdict }) => verdict!.from)).toEqual(['validators', 'validators']);
    expect(ends.map((end) => (end as { end: string }).end)).toEqual(['done', 'done']);
    expect(scorers).toEqual(Array(3).fill({ wasOver: false, end: 'done', rounds: 2, paidMsat: 10_000n }));
    for (const { signer } of world.validators) expect(paidMsat(state, signer.pubkey)).toBe(10_000n);
    for (const { signer } of world.trainers) expect(paidMsat(state, signer.pubkey)).toBe(42_000n);
    expect(world.totalMsat()).toBe(before);
    const { found, level } = await world.auditAll();
    expect({ found, level }).toEqual({ found: null, level: 'data' });
  });
});
