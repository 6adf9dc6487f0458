import { describe, expect, test } from 'vitest';
import type { NostrEvent } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { checkDataset, type CheckPorts } from '../../src/roles/check-dataset.js';
import { publishDataset } from '../../src/roles/publish.js';
import { forgetStored } from '../../src/roles/sent-chunks.js';
import { lyingRelays, silentRelay, type RelayFault } from '../support/faults/relay-faults.js';
import { A, B, INPUT, world } from './publish-world.js';

const honest: RelayFault = {
  take: () => ({ keep: true, say: 'ok' }),
  answer: (_, found) => ({ events: found, end: 'eose' }),
  passesOn: true,
};

/** Gives whatever it has but the events that `isLost` names. */
const without = (isLost: (event: NostrEvent) => boolean): RelayFault => ({
  ...honest,
  answer: (_, found) => ({ events: found.filter((event) => !isLost(event)), end: 'eose' }),
});

const saysNothing: CheckPorts['storedIds'] = async () => null;

async function published() {
  const { ports, network, sent, warned } = world();
  const { record } = await publishDataset(INPUT, ports);
  const check = (isDeep: boolean) =>
    checkDataset(record, isDeep, { ...ports, relays: network.relays(), storedIds: saysNothing });
  const chunks = network.events(A).filter(({ kind }) => kind === KINDS.chunk);
  return { ports, network, sent, warned, record, check, chunks };
}

describe('checking a dataset', () => {
  test('finds everything where everything is', async () => {
    const { check, record } = await published();
    for (const isDeep of [false, true])
      expect(await check(isDeep)).toEqual({
        chunks: record.chunks,
        checked: record.chunks,
        relays: [A, B].map((relay) => ({
          relay,
          asked: record.chunks,
          present: null,
          found: record.chunks,
          missing: [],
          manifests: 4,
        })),
        lost: [],
      });
  });

  test('names the chunks that one relay lacks, and nothing is lost', async () => {
    const { check, network, record, chunks } = await published();
    const oldest = [...chunks].sort((a, b) => a.created_at - b.created_at)[0]!;
    network.setFault(
      A,
      without(({ id }) => id === oldest.id || id === record.listing.id),
    );
    const { relays, lost } = await check(true);
    expect(relays[0]).toEqual({
      ...{ relay: A, asked: record.chunks, present: null },
      found: record.chunks - 1,
      missing: [expect.stringMatching(/^(shard [01]|evaluation set [AB]), (data|index) \d+ of \d+$/)],
      manifests: 3,
    });
    expect(relays[1]).toMatchObject({ found: record.chunks, missing: [] });
    expect(lost).toEqual([]);
  });

  test('takes a chunk in another form for none', async () => {
    const { check, network, record } = await published();
    network.setFault(A, lyingRelays['other contents']!);
    const { relays, lost } = await check(true);
    expect(relays[0]).toMatchObject({ found: 0, manifests: 0 });
    expect(relays[0]!.missing.length).toBe(record.chunks);
    expect(lost).toEqual([]);
  });

  test('says of a silent relay that nothing is known', async () => {
    const { check, network, record } = await published();
    network.setFault(B, silentRelay);
    const { relays } = await check(false);
    expect(relays[1]).toEqual({
      relay: B,
      asked: record.chunks,
      present: null,
      found: null,
      missing: [],
      manifests: null,
    });
  });

  test('names what is lost everywhere, the list of chunks apart', async () => {
    const { check, network, record, chunks } = await published();
    const lists = new Set<string>();
    for (const { ids } of JSON.parse(record.train.secrets.locator).shards as { ids: string[] }[])
      for (const id of ids) lists.add(id);
    const data = chunks.find(({ id }) => !lists.has(id) && !singles(record.train.secrets.locator).has(id))!;
    for (const relay of [A, B])
      network.setFault(
        relay,
        without(({ id }) => id === data.id),
      );
    const { lost, relays } = await check(true).catch(() => ({ lost: ['the list'], relays: [] }));
    expect(lost.length).toBe(1);
    expect(relays.every(({ missing }) => missing.length === 1)).toBe(true);
    for (const relay of [A, B])
      network.setFault(
        relay,
        without(({ id }) => lists.has(id)),
      );
    await expect(check(false)).rejects.toThrow(expect.objectContaining({ code: 'relay-unreachable' }));
  });

  describe('of many chunks', () => {
    async function large() {
      const { ports, network } = world();
      const request = INPUT.request.replace(/^./, 'a') as typeof INPUT.request;
      const { record } = await publishDataset({ ...INPUT, request, shards: Array(12).fill(INPUT.shards[1]) }, ports);
      // Without a list of chunks nobody knows what to ask for.
      const named = record.train.secrets.locator + record.a.secrets.locator + record.b.secrets.locator;
      const ids = network
        .events(A)
        .flatMap(({ kind, id }) => (kind === KINDS.chunk && !named.includes(id) ? [id as string] : []));
      const check = (storedIds: CheckPorts['storedIds']) =>
        checkDataset(record, false, { ...ports, relays: network.relays(), storedIds });
      return { record, network, ids, check };
    }

    test('asks for 20', async () => {
      const { record, check } = await large();
      const { chunks, checked, relays } = await check(saysNothing);
      expect([chunks, checked]).toEqual([record.chunks, 20]);
      expect(chunks).toBeGreaterThan(30);
      expect(relays.map(({ found, present }) => [found, present])).toEqual([[20, null], [20, null]]); // prettier-ignore
    });

    test('asks a relay that can tell which of all it has, and the others for what it lacks', async () => {
      const { record, network, ids, check } = await large();
      const gone = new Set(ids.slice(0, 12));
      network.setFault(
        A,
        without(({ id }) => gone.has(id)),
      );
      const { relays, lost, checked } = await check(async (relay, asked) =>
        relay === A ? new Set(asked.filter((id) => !gone.has(id))) : null,
      );
      expect(checked).toBeGreaterThan(20);
      expect(checked).toBeLessThanOrEqual(32);
      expect(relays).toMatchObject([
        { relay: A, present: record.chunks - 12, found: checked - 12, manifests: 4 },
        { relay: B, present: null, found: checked, missing: [] },
      ]);
      expect(new Set(relays[0]!.missing).size).toBe(12);
      expect(lost).toEqual([]);
    });

    test('names what all relays say to lack, and believes what they give', async () => {
      const { record, network, ids, check } = await large();
      const gone = new Set(ids.slice(0, 2));
      for (const relay of [A, B])
        network.setFault(
          relay,
          without(({ id }) => gone.has(id)),
        );
      const lacking = async (_relay: string, asked: readonly string[]) => new Set(asked.filter((id) => !gone.has(id)));
      expect((await check(lacking)).lost).toHaveLength(2);
      for (const relay of [A, B]) network.setFault(relay, honest);
      const liar = await check(lacking);
      expect(liar.lost).toEqual([]);
      expect(liar.relays).toMatchObject([A, B].map((relay) => ({ relay, present: record.chunks - 2, missing: [] })));
    });
  });

  test('a relay that is forgotten gets everything at the next run', async () => {
    const { ports, sent, record } = await published();
    const before = sent.length;
    await forgetStored(ports, INPUT.request, A);
    await publishDataset(INPUT, ports);
    expect(sent.slice(before).length).toBe(record.chunks);
    expect(sent.slice(before).every((one) => one.startsWith(A))).toBe(true);
  });
});

/** Chunks that a locator names because their blob has one only. */
function singles(locator: string): ReadonlySet<string> {
  const { shards } = JSON.parse(locator) as { shards: { chunks: number; ids: string[] }[] };
  return new Set(shards.filter(({ chunks }) => chunks === 1).flatMap(({ ids }) => ids));
}
