import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/ports.js';
import type { ArenaValidatorEnv } from '../../../src/roles/arena/env.js';
import { auditArenaJob } from '../../../src/roles/arena/audit.js';
import { collectArenaKeys } from '../../../src/roles/arena/audit-keys.js';
import { leaderboards } from '../../../src/market/arena/leaderboard.js';
import { decodeReceiptInvoice } from '../../../src/commands/find-job.js';
import { createArenaWorld, type ArenaRun, type ArenaWorld } from '../../support/arena-world.js';

async function audit(world: ArenaWorld, { folded }: ArenaRun, upTo: 'public' | 'data') {
  const owned = { secrets: world.secrets, signer: world.customer.signer };
  return auditArenaJob({
    ...{ book: { state: () => folded }, relays: world.network.relays(), decode: decodeReceiptInvoice, upTo },
    ...{
      nowSec: world.clock.nowSec(),
      keys: (state) => collectArenaKeys(owned, state),
      engine: async () => world.engine,
    },
  });
}

/** Says that good models are bad and bad ones good. */
const contrary = (env: ArenaValidatorEnv): ArenaValidatorEnv => ({
  ...env,
  engine: async () => {
    const own = await env.engine();
    const evaluate: Engine['evaluate'] = async (...args) => {
      const { loss, ...rest } = await own.evaluate(...args);
      return { ...rest, loss: 3 - loss };
    };
    return { ...own, evaluate };
  },
});

const ranked = ({ folded }: ArenaRun) =>
  leaderboards(folded.state!).map(({ rows }) => rows.map(({ rank, trainer, scorePpm }) => [rank, trainer, scorePpm]));

describe('an arena that was lived through in one process', () => {
  it('passes every level of the audit, and names a validator that lied without moving a rank', async () => {
    const validators = { 1: { adapt: contrary }, 4: 'absent' as const };
    const [honest, other] = [
      await createArenaWorld({ validators: 5, job: { seats: 5 } }),
      await createArenaWorld({ validators: 5, job: { seats: 5 } }),
    ];
    const calm = await honest.run({ validators: { 4: 'absent' } });
    const run = await other.run({ validators });
    expect(ranked(run)).toEqual(ranked(calm));
    for (const [world, one] of [
      [honest, calm],
      [other, run],
    ] as const) {
      expect(await audit(world, one, 'public')).toMatchObject({ level: 'public', found: null });
      expect(await audit(world, one, 'data')).toMatchObject({ level: 'data', found: null, why: null, notices: [] });
    }
    const liar = other.validators[1]!.signer.pubkey;
    const { contradicted } = await audit(other, run, 'data');
    expect(new Set(contradicted!.map(({ validator }) => validator))).toEqual(new Set([liar]));
    const seats = leaderboards(run.folded.state!).flatMap((board) => board.validators);
    const drawn = seats.filter(({ validator }) => validator === liar).reduce((sum, one) => sum + one.seats, 0);
    expect(contradicted).toHaveLength(drawn);
    const fee = ({ folded }: ArenaRun, who: string) =>
      folded
        .state!.stages.flatMap(({ payouts }) => payouts)
        .filter(({ payee }) => payee === who)
        .reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    expect(fee(run, liar)).toBeLessThan(fee(calm, honest.validators[1]!.signer.pubkey));
  }, 30_000);
});
