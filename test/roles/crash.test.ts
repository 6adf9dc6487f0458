import { beforeAll, describe, expect, it } from 'vitest';
import { crashAndFinish, MACHINES, undisturbed, type CrashRail, type Undisturbed } from './crashes.js';

/** NMKT_CRASHES=3000 tries more, NMKT_CRASH_SEED=17 repeats one. */
const ONE = process.env['NMKT_CRASH_SEED'];
const COUNT = Number(process.env['NMKT_CRASHES'] ?? 50);
/** As many sales where a number was asked for; by itself fewer, for they take longer. */
const SALES = process.env['NMKT_CRASHES'] === undefined ? 15 : COUNT;
const BLOCK = 25;

describe.each<{ readonly rail: CrashRail; readonly count: number }>([
  { rail: 'instalments', count: COUNT },
  { rail: 'key-sale', count: SALES },
])(
  'customer, trainers, relay and wallet service that crash anywhere and start again end a job on rail $rail as if nothing had happened',
  ({ rail, count }) => {
    let quiet: Undisturbed;
    const met = new Map<string, number>();
    beforeAll(async () => {
      quiet = await undisturbed(rail);
    });

    it.each(blocksOf(count))(
      'seeds $first to $last',
      async ({ seeds }) => {
        for (const seed of seeds)
          for (const { machine } of await crashAndFinish(seed, quiet)) met.set(machine, (met.get(machine) ?? 0) + 1);
      },
      600_000,
    );

    it.runIf(ONE === undefined && count >= 50)('every machine crashed often', () => {
      for (const machine of MACHINES) expect(met.get(machine) ?? 0, machine).toBeGreaterThan(count / 10);
    });
  },
);

function blocksOf(count: number) {
  const seeds = ONE === undefined ? Array.from({ length: count }, (_, seed) => seed) : [Number(ONE)];
  return Array.from({ length: Math.ceil(seeds.length / BLOCK) }, (_, i) => {
    const block = seeds.slice(i * BLOCK, (i + 1) * BLOCK);
    return { first: block[0], last: block.at(-1), seeds: block };
  });
}
