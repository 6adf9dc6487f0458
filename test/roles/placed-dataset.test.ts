import { expect, test } from 'vitest';
import { placement } from '../../src/blob/placement.js';
import { datasetContext } from '../../src/blob/keys.js';
import { sha256Hex } from '../../src/hash.js';
import type { Relays } from '../../src/ports.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { checkDataset } from '../../src/roles/check-dataset.js';
import { locatedIn, openShard, ownLocator, ownShardKey } from '../../src/roles/epoch.js';
import { publishDataset, type DatasetRecord } from '../../src/roles/publish.js';
import { INPUT, world } from './publish-world.js';

const URLS = ['wss://a.example', 'wss://b.example', 'wss://c.example'] as const;
const PLACED = { ...INPUT, request: sha256Hex('placed'), shards: Array(6).fill(INPUT.shards[1]!), copies: 2 };

type World = ReturnType<typeof world>;
const chunksAt = ({ network }: World, url: string) =>
  network.events(url).filter(({ kind }) => kind === KINDS.chunk).length;

async function published() {
  const here = world(URLS);
  const { record, relays } = await publishDataset(PLACED, here.ports);
  const check = (isDeep: boolean) =>
    checkDataset(record, isDeep, { ...here.ports, relays: here.network.relays(), storedIds: async () => null });
  return { here, record, relays, check };
}

function open(record: DatasetRecord, relays: Relays, shard: number) {
  const { manifest } = parseSnapshot(record.train.event);
  const { secrets } = record.train;
  const locator = locatedIn(ownLocator(manifest, secrets), shard);
  return openShard(relays, manifest, locator, shard, ownShardKey(manifest, secrets, shard));
}

test('two copies on three relays: each chunk is on two, each relay has its share and all manifests', async () => {
  const { here, record, relays, check } = await published();
  expect(relays.map(({ relay, stored, assigned }) => [relay, stored === assigned])).toEqual(
    URLS.map((url) => [url, true]),
  );
  expect(URLS.reduce((sum, url) => sum + chunksAt(here, url), 0)).toBe(2 * record.chunks);
  for (const url of URLS) {
    expect(chunksAt(here, url)).toBeGreaterThan(record.chunks / 3);
    expect(chunksAt(here, url)).toBeLessThan(record.chunks);
  }
  const { relays: checks, lost, checked } = await check(true);
  expect([lost, checked]).toEqual([[], record.chunks]);
  expect(
    checks.map(({ relay, asked, found, missing, manifests }) => [relay, asked, found, missing, manifests]),
  ).toEqual(URLS.map((url) => [url, chunksAt(here, url), chunksAt(here, url), [], 4]));
  expect(here.warned).toEqual([]);
  const before = here.sent.length;
  await publishDataset(PLACED, here.ports);
  expect(here.sent.length).toBe(before);
});

test('one relay lost and the dataset is whole; two lost, and the error names the chunks and where they were looked for', async () => {
  const { here, record, check } = await published();
  for (const url of URLS) {
    here.network.setDown(url, true);
    for (let shard = 0; shard < 6; shard++)
      expect(await open(record, here.network.relays(), shard)).toEqual(INPUT.shards[1]);
    expect((await check(true)).lost).toEqual([]);
    here.network.setDown(url, false);
  }
  const [left, ...gone] = URLS;
  for (const url of gone) here.network.setDown(url, true);
  const { manifest } = parseSnapshot(record.train.event);
  const { shards } = ownLocator(manifest, record.train.secrets);
  let tried = 0;
  for (const [part, { chunks, ids }] of shards.entries()) {
    const holds = placement(URLS, 2, (index) => ({ context: datasetContext(manifest.salt), part, index }))!;
    const indices = chunks === 1 ? 0 : ids.length;
    const all = Array.from({ length: chunks + indices }, (_, index) => index);
    const missing = all.filter((index) => !holds(left, index));
    const got = open(record, here.network.relays(), part);
    if (missing.length === 0) {
      expect(await got).toEqual(INPUT.shards[1]);
      continue;
    }
    tried++;
    const purpose = missing.at(-1)! >= chunks ? 'index' : 'data';
    const named = missing.filter((index) => index >= chunks === (purpose === 'index'));
    await expect(got).rejects.toMatchObject({
      code: 'relay-unreachable',
      message: `${named.length} of ${purpose === 'index' ? indices : chunks} ${purpose} chunks were found on no relay`,
      got: expect.stringMatching(
        new RegExp(
          `missing: ${named[0]! + 1 - (purpose === 'index' ? chunks : 0)}.*answered: ${left}; silent: ${gone.join(', ')}`,
        ),
      ),
    });
  }
  expect(tried).toBeGreaterThan(1);
});

test('what both holders did not take goes to the third, and a relay that comes back gets its share alone', async () => {
  const here = world(URLS);
  const [a, b, c] = URLS;
  here.network.setDown(a, true);
  here.network.setDown(b, true);
  const alone = await publishDataset(PLACED, here.ports);
  expect(chunksAt(here, c)).toBe(alone.record.chunks);
  expect(alone.relays.find(({ relay }) => relay === c)!.assigned).toBeLessThan(alone.record.chunks);
  here.network.setDown(b, false);
  const { record, relays } = await publishDataset(PLACED, here.ports);
  expect(relays.find(({ relay }) => relay === a)).toMatchObject({ stored: 0 });
  expect(here.warned.some((text) => text.startsWith(`${a} has 0 of`))).toBe(true);
  for (let shard = 0; shard < 6; shard++) await open(record, here.network.relays(), shard);
  here.network.setDown(a, false);
  const before = here.sent.length;
  const again = await publishDataset(PLACED, here.ports);
  const { assigned } = again.relays.find(({ relay }) => relay === a)!;
  expect(here.sent.slice(before).filter((one) => one.startsWith(a)).length).toBe(assigned);
  expect(chunksAt(here, a)).toBe(assigned);
});
