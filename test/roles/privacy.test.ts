import { beforeAll, describe, expect, test } from 'vitest';
import { fromBase64, SEALED_BYTES } from '../../src/blob/chunk.js';
import { epochPrk } from '../../src/blob/keys.js';
import { leafHash } from '../../src/merkle.js';
import { fromHex, hex } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { parseGrant, type ShardGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { openLocator, type Locator } from '../../src/protocol/locator.js';
import { unwrapRumor } from '../../src/relay/gift-wrap.js';
import { ownShardKey } from '../../src/roles/epoch.js';
import { blobSecrets } from '../../src/roles/round-blobs.js';
import { signEvent } from '../../src/schnorr.js';
import { createWorld, type Participant, type World } from '../support/market-world.js';

let world: World;
let events: readonly NostrEvent[];
beforeAll(async () => {
  world = await createWorld({ trainers: 3, rounds: 2 });
  const { state } = await world.run();
  expect(state.phase).toBe('finished');
  events = world.network.events();
});

const EPOCHS = ['train', 'a', 'b'] as const;

/** Every secret of the job by name: raw bytes. */
function secrets(): Map<string, Uint8Array> {
  const { secrets: own, customer, trainers } = world;
  const found = new Map<string, Uint8Array>();
  for (const name of ['seed', 'blobs', 'scoring', 'chain'] as const) found.set(name, fromHex(own[name]));
  for (const part of EPOCHS) {
    const { manifest } = parseSnapshot(own[part].event);
    const { key, blind, salt } = own[part].secrets;
    found.set(`${part}: dataset key`, fromHex(key));
    found.set(`${part}: prk`, epochPrk(manifest.salt, fromHex(key)));
    found.set(`${part}: blind`, fromHex(blind));
    found.set(`${part}: salt of the commitment`, fromHex(salt));
    for (const shard of manifest.shards.keys())
      found.set(`${part}: key of shard ${shard}`, ownShardKey(manifest, own[part].secrets, shard));
  }
  for (let round = 0; round < world.terms.rounds; round++)
    found.set(`key of round ${round}`, blobSecrets(fromHex(own.blobs), 'base', round).key);
  found.set('key of the model', blobSecrets(fromHex(own.blobs), 'artifact', 0).key);
  for (const who of [customer, ...trainers]) found.set(`${who.name}: private key`, who.secret);
  for (const trainer of trainers)
    for (const [name, bytes] of trainer.files)
      if (name.includes('/update-')) found.set(`${trainer.name}: content secret of ${name}`, bytes.subarray(32, 64));
  return found;
}

/** Where the bytes stand in a text or in what its base64 holds: as hex, base64 or raw. */
function traces(bytes: Uint8Array, text: string): string[] {
  const raw = Buffer.from(bytes);
  const found: string[] = [];
  if (text.toLowerCase().includes(raw.toString('hex'))) found.push('hex');
  const base64 = raw.toString('base64').replace(/=+$/, '');
  if (text.includes(base64.slice(0, -1))) found.push('base64');
  if (text.includes(raw.toString('base64url').slice(0, -1))) found.push('base64url');
  for (const run of text.match(/[A-Za-z0-9+/]{40,}={0,2}/g) ?? []) {
    const decoded = Buffer.from(run, 'base64');
    if (decoded.includes(raw)) found.push('raw');
    if (decoded.includes(raw.toString('hex'))) found.push('hex in base64');
  }
  return found;
}

const textOf = (event: NostrEvent): string => JSON.stringify(event);

/** The first example of a shard as it would stand in a file: 24 floats. */
function rowOf(shard: number): Uint8Array {
  const { features } = world.split.shards[shard]!;
  return new Uint8Array(features.buffer, features.byteOffset, 96);
}

function locatorOf(part: (typeof EPOCHS)[number]): Locator {
  const { event, secrets: epoch } = world.secrets[part];
  return openLocator(epoch.locator, fromHex(epoch.blind), parseSnapshot(event).manifest.locator);
}

describe('everything that any relay holds', () => {
  test('shows no secret: not as hex, not as base64, not as bytes', () => {
    const all = events.map(textOf).join('\n');
    for (const [name, bytes] of secrets()) expect(traces(bytes, all), name).toEqual([]);
  });

  test('shows no row of the data', () => {
    const all = events.map(textOf).join('\n');
    for (const shard of world.split.shards.keys()) {
      expect(traces(rowOf(shard), all), `shard ${shard}`).toEqual([]);
      expect(traces(rowOf(shard).subarray(0, 32), all), `shard ${shard}`).toEqual([]);
    }
  });

  test('would show them, if it did: the search finds what is planted', () => {
    const secret = fromHex(world.secrets.seed);
    const plant = (content: string): string =>
      textOf(signEvent({ kind: 1, created_at: 0, tags: [], content }, world.customer.secret));
    expect(traces(secret, plant(hex(secret).toUpperCase()))).toContain('hex');
    expect(traces(secret, plant(`{"key":"${Buffer.from(secret).toString('base64')}"}`))).toContain('base64');
    const inside = Buffer.concat([Buffer.from('x'), secret, Buffer.from('yyyyyyyy')]).toString('base64');
    expect(traces(secret, plant(inside))).toContain('raw');
    expect(secrets().size).toBeGreaterThan(25);
  });

  test('links no chunk of the dataset to the customer', () => {
    const signed = events.filter((event) => event.pubkey === world.customer.signer.pubkey);
    expect(signed.length).toBeGreaterThan(20);
    const all = signed.map(textOf).join('\n');
    for (const part of EPOCHS) {
      const { upload, shards } = locatorOf(part);
      const chunks = events.filter((event) => event.pubkey === upload);
      expect(chunks.length).toBeGreaterThanOrEqual(shards.length);
      const names: string[] = [upload, ...chunks.map((event) => event.id)];
      for (const chunk of chunks) names.push(hex(leafHash(fromBase64(chunk.content, SEALED_BYTES))));
      for (const shard of shards) names.push(shard.root, shard.sha256, ...shard.ids);
      for (const name of names) expect(traces(fromHex(name), all), `${part}: ${name}`).toEqual([]);
    }
  });

  test('gives chunks no tag but their expiration, dates in the past, and another author per epoch', () => {
    const chunks = events.filter((event) => event.kind === KINDS.chunk);
    const known = new Set([world.customer, ...world.trainers].map(({ signer }) => signer.pubkey));
    const uploads = EPOCHS.map((part) => locatorOf(part).upload);
    expect(new Set(uploads).size).toBe(3);
    for (const chunk of chunks) {
      expect(chunk.tags.map(([name]) => name)).toEqual(['expiration']);
      expect(known.has(chunk.pubkey)).toBe(false);
      if (uploads.includes(chunk.pubkey)) expect(chunk.created_at).toBeLessThan(world.secrets.event.created_at);
    }
  });

  test('shows an invoice only in the receipt of its payment', () => {
    for (const event of events.filter((one) => one.content.includes('lnbcrt')))
      expect([event.kind, event.tags.find(([name]) => name === 'phase')?.[1]]).toEqual([KINDS.notice, 'receipt']);
  });
});

describe('a trainer', () => {
  const wrapsOf = async (who: Participant): Promise<string[]> => {
    const wraps = events.filter(
      (event) => event.kind === 1059 && event.tags.some(([name, value]) => name === 'p' && value === who.signer.pubkey),
    );
    return Promise.all(wraps.map(async (wrap) => (await unwrapRumor(wrap, who.signer)).content));
  };

  test('is given the key of its own shard and of no other, nor those of the evaluation sets', async () => {
    for (const [index, trainer] of world.trainers.entries()) {
      const opened = await wrapsOf(trainer);
      const grants = opened.map((content) => parseGrant(KINDS.grant, content));
      const shards = grants.filter((grant): grant is ShardGrant => grant.purpose === 'shard');
      expect(new Set(shards.map(({ shard }) => shard))).toEqual(new Set([index]));
      expect(new Set(grants.map(({ purpose }) => purpose))).toEqual(new Set(['shard', 'round']));
      const everything = [
        ...opened,
        ...[...trainer.files.values()].map((bytes) => Buffer.from(bytes).toString('base64')),
        JSON.stringify(trainer.events),
        ...trainer.said,
      ].join('\n');
      const { manifest } = world.snapshot;
      const { secrets: own } = world.secrets.train;
      for (const shard of manifest.shards.keys())
        expect(traces(ownShardKey(manifest, own, shard), everything).length > 0, `shard ${shard}`).toBe(
          shard === index,
        );
      for (const [name, bytes] of secrets())
        if (/^(train: (dataset key|prk)|[ab]: |scoring|blobs|chain)/.test(name))
          expect(traces(bytes, everything), name).toEqual([]);
    }
  });

  test('cannot open the grants or the updates of another', async () => {
    const [mine, theirs] = world.trainers as [Participant, Participant];
    const wraps = events.filter(
      (event) => event.kind === 1059 && event.tags.some(([, value]) => value === theirs.signer.pubkey),
    );
    expect(wraps.length).toBeGreaterThan(0);
    for (const wrap of wraps) await expect(unwrapRumor(wrap, mine.signer)).rejects.toMatchObject({ code: 'wrong-key' });
    const book = await world.read();
    const reveals = book.state().rounds.flatMap((round) => [...round.listedReveals.values()]);
    for (const reveal of reveals.filter(({ author }) => author === theirs.signer.pubkey)) {
      await expect(mine.signer.decrypt(theirs.signer.pubkey, reveal.content.sealed)).rejects.toMatchObject({
        code: 'wrong-key',
      });
      await expect(mine.signer.decrypt(book.state().job!.author, reveal.content.sealed)).rejects.toMatchObject({
        code: 'wrong-key',
      });
    }
  });
});

test('nobody is told a secret on the terminal', () => {
  for (const who of [world.customer, ...world.trainers]) {
    const said = who.said.join('\n');
    expect(said.length).toBeGreaterThan(100);
    for (const [name, bytes] of secrets()) expect(traces(bytes, said), `${who.name}: ${name}`).toEqual([]);
  }
});
