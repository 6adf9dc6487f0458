import { expect, test } from 'vitest';
import type { NostrEvent } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { ownLocator } from '../../src/roles/epoch.js';
import { createWorld, type TrainerOptions } from '../support/market-world.js';

/** Counts how often a trainer is given each chunk. */
function counting(given: Map<string, number>): NonNullable<TrainerOptions['adapt']> {
  return (env) => ({
    ...env,
    relays: {
      urls: env.relays.urls,
      publish: (event, to, options) => env.relays.publish(event, to, options),
      subscribe: (filters, onEvent) => env.relays.subscribe(filters, onEvent),
      close: () => env.relays.close(),
      fetch: async (filters, options) => {
        const answer = await env.relays.fetch(filters, options);
        const chunks = answer.events.filter(({ kind }: NostrEvent) => kind === KINDS.chunk);
        for (const { id } of chunks) given.set(id, (given.get(id) ?? 0) + 1);
        return answer;
      },
    },
  });
}

const sealedFiles = (files: ReadonlyMap<string, Uint8Array>) =>
  [...files].filter(([name, bytes]) => name.endsWith('.sealed') && bytes.length > 0).map(([name]) => name);

test('a trainer that is killed fetches each chunk of shard and model once, keeps them sealed, and leaves none when the job is over', async () => {
  const keptAtKills: string[][] = [];
  for (let after = 1, kills = 1; kills > 0; after += 5) {
    kills = 0;
    const world = await createWorld({
      ...{ name: 'kept', trainers: 1, rounds: 2, rows: 700, classes: 1_600 },
      job: { roundTimeout: '1h', epochs: 1, batch: 64 },
    });
    const { files } = world.trainers[0]!;
    const given = new Map<string, number>();
    const onKilled = () => {
      kills++;
      keptAtKills.push(sealedFiles(files));
    };
    const trainer: TrainerOptions = { kill: { after, isKept: true }, onKilled, adapt: counting(given) };
    const { state } = await world.run({ trainers: { 0: trainer } });
    expect(state.artifact).not.toBeNull();

    const locator = ownLocator(parseSnapshot(world.secrets.train.event).manifest, world.secrets.train.secrets);
    const bases = state.rounds.map((round) => round.open.content.base);
    const pointers = [locator.shards[0]!, ...bases];
    for (const { chunks, ids } of pointers) expect([chunks > 1, ids.length]).toEqual([true, 1]);
    const indices = pointers.flatMap(({ ids }) => ids as string[]);
    const often = [...given].filter(([, times]) => times > 1).map(([id]) => id);
    expect(
      often.filter((id) => !indices.includes(id)),
      `killed at write ${after}`,
    ).toEqual([]);
    expect(given.size).toBe(pointers.reduce((sum, { chunks }) => sum + chunks + 1, 0));
    expect(sealedFiles(files)).toEqual([]);
  }
  const names = keptAtKills.map((kept) => kept.map((name) => name.split('/').at(-1)).join());
  expect(names).toEqual(expect.arrayContaining(['shard-0.sealed', 'shard-0.sealed,base.sealed']));
}, 120_000);
