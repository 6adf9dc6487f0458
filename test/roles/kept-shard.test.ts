import { expect, test } from 'vitest';
import { ownLocator } from '../../src/roles/epoch.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import type { NostrEvent } from '../../src/ports.js';
import { createWorld, type TrainerOptions, type World } from '../support/market-world.js';

/** Counts the chunks of the dataset that a trainer is given. */
function counting({ secrets }: World, given: NostrEvent[]): TrainerOptions['adapt'] {
  const { upload } = ownLocator(parseSnapshot(secrets.train.event).manifest, secrets.train.secrets);
  return (env) => ({
    ...env,
    relays: {
      ...env.relays,
      urls: env.relays.urls,
      publish: (event, to, options) => env.relays.publish(event, to, options),
      subscribe: (filters, onEvent) => env.relays.subscribe(filters, onEvent),
      fetch: async (filters, options) => {
        const answer = await env.relays.fetch(filters, options);
        given.push(...answer.events.filter(({ pubkey }) => pubkey === upload));
        return answer;
      },
    },
  });
}

const sealedFiles = (files: ReadonlyMap<string, Uint8Array>) =>
  [...files].filter(([name, bytes]) => name.endsWith('.sealed') && bytes.length > 0);

test('a trainer that is killed fetches its shard once, keeps it sealed, and leaves nothing of it when the job is over', async () => {
  let after = 1;
  let kept = 0;
  for (let kills = 1; kills > 0; after++) {
    kills = 0;
    const world = await createWorld({ name: 'kept', trainers: 1, rounds: 1 });
    const { files } = world.trainers[0]!;
    const given: NostrEvent[] = [];
    const adapt = counting(world, given);
    const onKilled = () => {
      kills++;
      kept += sealedFiles(files).length;
    };
    await world.run({ trainers: { 0: { kill: { after, isKept: true }, onKilled, ...(adapt && { adapt }) } } });
    expect(
      given.map(({ id }) => id),
      `killed at write ${after}`,
    ).toHaveLength(1);
    expect(sealedFiles(files)).toEqual([]);
  }
  expect(after).toBeGreaterThan(5);
  expect(kept).toBeGreaterThan(2);
});
