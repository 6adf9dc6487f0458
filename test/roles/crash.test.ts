import { beforeAll, describe, expect, it } from 'vitest';
import { crashAndFinish, MACHINES, undisturbed, type Undisturbed } from './crashes.js';

/** NMKT_CRASHES=3000 tries more, NMKT_CRASH_SEED=17 repeats one. */
const ONE = process.env['NMKT_CRASH_SEED'];
const COUNT = Number(process.env['NMKT_CRASHES'] ?? 100);
const BLOCK = 50;
const SEEDS = ONE === undefined ? Array.from({ length: COUNT }, (_, seed) => seed) : [Number(ONE)];
const BLOCKS = Array.from({ length: Math.ceil(SEEDS.length / BLOCK) }, (_, i) =>
  SEEDS.slice(i * BLOCK, (i + 1) * BLOCK),
);

describe('customer, trainers, relay and wallet service that crash anywhere and start again end the job as if nothing had happened', () => {
  let quiet: Undisturbed;
  const met = new Map<string, number>();
  beforeAll(async () => {
    quiet = await undisturbed();
  });

  it.each(BLOCKS.map((seeds) => ({ first: seeds[0], last: seeds.at(-1), seeds })))(
    'seeds $first to $last',
    async ({ seeds }) => {
      for (const seed of seeds)
        for (const { machine } of await crashAndFinish(seed, quiet)) met.set(machine, (met.get(machine) ?? 0) + 1);
    },
    600_000,
  );

  it.runIf(ONE === undefined && COUNT >= 100)('every machine crashed often', () => {
    for (const machine of MACHINES) expect(met.get(machine) ?? 0, machine).toBeGreaterThan(COUNT / 10);
  });
});
