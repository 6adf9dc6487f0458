import { beforeAll, describe, expect, it } from 'vitest';
import { failAndFinish, MACHINES, undisturbed, type Undisturbed } from './crashes.js';

/** NMKT_CRASHES tries more or fewer, here a third of it; NMKT_CRASH_SEED=17 repeats one. */
const ONE = process.env['NMKT_CRASH_SEED'];
const COUNT = Math.ceil(Number(process.env['NMKT_CRASHES'] ?? 50) / 3);
const SEEDS = ONE === undefined ? Array.from({ length: COUNT }, (_, seed) => seed) : [Number(ONE)];

describe('a disk that is full or fails', () => {
  let quiet: Undisturbed;
  beforeAll(async () => {
    quiet = await undisturbed();
  });

  it('ends the command that needs it with disk-full or disk-failed, and the same command goes on as if nothing had been', async () => {
    const met = new Map<string, number>();
    for (const seed of SEEDS) {
      const { machine } = await failAndFinish(seed, quiet);
      met.set(machine, (met.get(machine) ?? 0) + 1);
    }
    if (ONE === undefined && COUNT >= MACHINES.length) expect([...met.keys()].sort()).toEqual([...MACHINES].sort());
  }, 600_000);
});
