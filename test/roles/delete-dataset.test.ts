import { afterEach, describe, expect, test } from 'vitest';
import { homeFiles } from '../../src/commands/customer-ports.js';
import { openHome } from '../../src/config/home.js';
import type { Disk } from '../../src/disk/disk.js';
import type { EventId } from '../../src/hash.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { CANCEL } from '../../src/protocol/award.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { startRelay } from '../../src/relay/embedded.js';
import { matcher } from '../../src/relay/filter.js';
import { connectRelays } from '../../src/relay/pool.js';
import { backUpDataset, backUpJob, restoreDataset, restoreJob } from '../../src/roles/backup.js';
import { checkDataset } from '../../src/roles/check-dataset.js';
import { collectDataKeys } from '../../src/roles/collect.js';
import type { JobSecrets } from '../../src/roles/customer-env.js';
import { beginDeletion, finishDeletion, requireUnused, type DeletePorts } from '../../src/roles/delete-dataset.js';
import { findDeleted, keepDeleted, type DeletedDataset } from '../../src/roles/deleted-dataset.js';
import { parseJobFile } from '../../src/roles/job-file.js';
import { secretsFile } from '../../src/roles/job-files.js';
import { jobTerms } from '../../src/roles/job-terms.js';
import { postJob } from '../../src/roles/post.js';
import { withSnapshots } from '../../src/roles/plan-deletion.js';
import { keptChunkIds, publishDataset, type DatasetRecord } from '../../src/roles/publish.js';
import { atEveryCrash } from '../support/crash-points.js';
import { startFaultyRelay } from '../support/faults/faulty-relay.js';
import { silentRelay, slowRelay } from '../support/faults/relay-faults.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { A, B, INPUT, world } from './publish-world.js';

const keysOf = ({ train, a, b }: Pick<DatasetRecord, 'train' | 'a' | 'b'>) =>
  [train, a, b].map(({ secrets }) => secrets.key);
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

type World = ReturnType<typeof world>;
const deletePorts = ({ ports }: World, more: Partial<DeletePorts> = {}): DeletePorts => ({
  ...ports,
  limitsOf: async () => null,
  ownEvents: async () => [],
  ...more,
});
const textOf = ({ stored }: World) => [...stored.values()].map((bytes) => Buffer.from(bytes).toString()).join('\n');

/** One relay that deletes and one that ignores every request, both real servers. */
async function servers() {
  const here = world();
  const nowSec = () => here.ports.clock.nowSec();
  const relay = await startRelay({ port: 0, nowSec });
  const deaf = await startFaultyRelay(slowRelay(0));
  opened.push(relay, deaf);
  const urls = [relay.url, deaf.url];
  const open = (): Relays => {
    const relays = connectRelays(urls, { network: 'sandbox' });
    opened.push(relays);
    return relays;
  };
  const ports = deletePorts(here, { relays: open(), reader: async () => open() });
  return { here, ports, relay: relay.url, deaf };
}

describe('deleting a dataset', () => {
  test('empties a relay that deletes, says what one that does not still gives, and destroys every key', async () => {
    const { here, ports, relay, deaf } = await servers();
    const { record } = await publishDataset(INPUT, ports);
    await backUpDataset(ports, record);
    expect(keysOf(record).every((key) => textOf(here).includes(key))).toBe(true);
    const deleted = await beginDeletion(record, ports);
    const outcome = await finishDeletion(deleted, ports);
    const of = { before: record.chunks, message: '' };
    const all = deleted.requests.length;
    expect(outcome).toEqual([
      { relay, sent: all, taken: all, ...of, after: 0, manifests: 0 },
      { relay: deaf.url, sent: all, taken: all, ...of, after: record.chunks, manifests: 4 },
    ]);
    // Two per upload key, an emptied backup, and the owner's own.
    expect(deleted.requests.map(({ kind }) => kind)).toEqual([5, 62, 5, 62, 5, 62, KINDS.backup, 5]);
    const { events } = await ports.relays.fetch([{ kinds: [KINDS.chunk, KINDS.backup, KINDS.snapshot] }], {
      relays: [relay],
    });
    expect(events).toEqual([]);
    for (const key of keysOf(record)) expect(textOf(here)).not.toContain(key);
    const others = [...here.stored.keys()].filter((name) => name !== 'relay-scores.json');
    expect(others).toEqual([`deleted/${record.train.event.id}.json`]);
    // Whom a relay shows the requests learns nothing of whose chunks they are.
    const times = deleted.requests.map(({ created_at }) => created_at);
    expect(times.slice(0, 6).every((time) => time < times.at(-1)!)).toBe(true);
    await expect(restoreDataset({ ...ports, relays: open1(ports, deaf.url) }, record.train.event.id)).rejects.toThrow(
      expect.objectContaining({ code: 'dataset-deleted' }),
    );

    const again = await finishDeletion((await findDeleted(ports.files, { d: record.d }))!, ports);
    expect(again.map(({ sent, before, after }) => [sent, before, after])).toEqual([
      [0, record.chunks, 0],
      [all, record.chunks, record.chunks],
    ]);
  });

  test('the same file published again is a new dataset, which a second deletion of the old one leaves alone', async () => {
    const { here, ports, relay } = await servers();
    const { record } = await publishDataset(INPUT, ports);
    await finishDeletion(await beginDeletion(record, ports), ports);
    const second = (await publishDataset(INPUT, ports)).record;
    expect(keysOf(second).filter((key) => keysOf(record).includes(key))).toEqual([]);
    expect([second.d, second.train.event.id]).not.toContain(record.d);
    const old = (await findDeleted(ports.files, { id: record.train.event.id }))!;
    const names = [...here.stored.keys()];
    await finishDeletion(old, ports);
    expect([...here.stored.keys()]).toEqual(names);
    expect(keysOf(second).every((key) => textOf(here).includes(key))).toBe(true);
    const check = await checkDataset(second, true, {
      ...{ ...ports, relays: await ports.reader() },
      storedIds: async () => null,
    });
    expect(check.relays[0]).toEqual({
      relay,
      asked: second.chunks,
      present: null,
      found: second.chunks,
      missing: [],
      manifests: 4,
    });
  });

  test('goes on without the packed files, and where no relay gives the list of chunks, by the request to vanish', async () => {
    const { here, ports } = await servers();
    const { record } = await publishDataset(INPUT, ports);
    const kept = (await keptChunkIds(record, ports))!;
    for (const name of here.stored.keys()) if (name.endsWith('.br')) here.stored.delete(name);
    expect(await keptChunkIds(record, ports)).toBeUndefined();
    const { requests, chunks } = await beginDeletion(record, ports);
    const named = requests.flatMap(({ tags }) => tags.filter(([name]) => name === 'e').map(([, id]) => id));
    expect(
      Object.values(kept)
        .flat()
        .filter((id) => !named.includes(id)),
    ).toEqual([]);
    expect(chunks).toBe(record.chunks);
    const nobody = world();
    const blind = deletePorts(nobody, { files: ports.files });
    const fewer = await beginDeletion(record, blind);
    expect(fewer.chunks).toBeLessThan(chunks);
    expect(nobody.warned[0]).toMatch(/no relay gives the list of chunks of train 0/);
    expect(fewer.requests.filter(({ kind }) => kind === 62).length).toBe(3);
  });

  test('a relay that was away gets the requests the next time, and so does one that has the chunks again', async () => {
    const here = world();
    const ports = deletePorts(here);
    const { record } = await publishDataset(INPUT, ports);
    const old = here.network.events(A);
    const deleted = await beginDeletion(record, ports);
    here.network.setFault(B, silentRelay);
    const first = await finishDeletion(deleted, ports);
    expect(first.map(({ sent, taken, after }) => [taken === sent, after])).toEqual([
      [true, 0],
      [false, null],
    ]);
    expect(first[1]!.sent).toBe(1);
    here.network.setFault(B, null);
    const second = await finishDeletion((await findDeleted(ports.files, { d: record.d }))!, ports);
    expect(second.map(({ relay, sent, after, manifests }) => [relay, sent, after, manifests])).toEqual([
      [A, 0, 0, 0],
      [B, deleted.requests.length, 0, 0],
    ]);
    here.network.setFault(A, {
      ...slowRelay(0),
      answer: (filters) => ({ events: old.filter(matcher(filters)), end: 'eose' }),
    });
    const third = await finishDeletion((await findDeleted(ports.files, { d: record.d }))!, ports);
    expect(third.map(({ sent, after }) => [sent, after])).toEqual([
      [deleted.requests.length, record.chunks],
      [0, 0],
    ]);
  });
});

const open1 = ({ relays }: DeletePorts, url: string): Relays => ({
  urls: [url],
  publish: (event) => relays.publish(event, [url]),
  fetch: (filters, options) => relays.fetch(filters, { ...options, relays: [url] }),
  subscribe: (filters, onEvent) => relays.subscribe(filters, onEvent),
  close: async () => undefined,
});

describe('a dataset with a job', () => {
  async function posted() {
    const here = world();
    const ports = deletePorts(here);
    const { record } = await publishDataset(INPUT, ports);
    const job = parseJobFile({ rail: 'none', trainers: 2, deadline: '2h' }, 'the test');
    const terms = jobTerms(job, record, 'sandbox', [A, B], ports.clock.nowSec(), null);
    const { secrets } = await postJob(terms, record, ports, false);
    await backUpJob(ports, secrets);
    return { here, ports, record, secrets };
  }
  const later = (ports: DeletePorts, sec: number): DeletePorts => ({
    ...ports,
    clock: { ...ports.clock, nowSec: () => ports.clock.nowSec() + sec },
  });

  test('is kept while the job is open, and not once it lapsed or was cancelled', async () => {
    const { ports, record, secrets } = await posted();
    const { id } = secrets.event;
    await expect(requireUnused(record, false, ports)).rejects.toThrow(
      expect.objectContaining({
        code: 'dataset-in-use',
        got: id,
        remedy: expect.stringContaining(`nmkt cancel ${id}`),
      }),
    );
    await requireUnused(record, true, ports);
    await requireUnused(record, false, later(ports, 7_200));
    const link = { job: id, seq: 1, prev: id };
    const cancel = await ports.signer.sign(CANCEL.build(link, { reason: '' }, ports.clock.nowSec()));
    await requireUnused(record, false, { ...ports, ownEvents: async () => [secrets.event, cancel] });
    await ports.relays.publish(cancel);
    await requireUnused(record, false, ports);
  });

  test('loses the copy of the keys that the job has, in the home and in its backup, and nothing else of it', async () => {
    const { here, ports, record, secrets } = await posted();
    here.stored.set(
      `replaced/1700000000/${secretsFile(secrets.event.id)}`,
      here.stored.get(secretsFile(secrets.event.id))!,
    );
    const deleted = await beginDeletion(record, ports);
    await finishDeletion(deleted, ports);
    for (const key of keysOf(record)) expect(textOf(here)).not.toContain(key);
    const snapshots = () => here.network.events().filter(({ kind }) => kind === KINDS.snapshot).length;
    expect([deleted.manifests, snapshots()]).toEqual([[record.listing.id], 3]);
    const kept = (await ports.files.readJson<JobSecrets>(secretsFile(secrets.event.id)))!;
    expect(kept).toEqual(
      Object.fromEntries(
        Object.entries(secrets).map(([name, value]) => [
          name,
          ['train', 'a', 'b'].includes(name) ? { ...value, secrets: { ...value.secrets, key: '' } } : value,
        ]),
      ),
    );
    expect(() => collectDataKeys(kept)).toThrow(expect.objectContaining({ code: 'dataset-deleted' }));
    const [backup] = here.network.events().filter(({ kind }) => kind === KINDS.backup);
    const text = await ports.signer.decrypt(ports.signer.pubkey, backup!.content);
    expect(JSON.parse(text)).toMatchObject({
      seed: secrets.seed,
      chain: secrets.chain,
      train: { secrets: { key: '' } },
    });
    expect(here.network.events().filter(({ kind }) => kind === KINDS.backup).length).toBe(1);
    const known = (await findDeleted(ports.files, { d: record.d }))!;
    const outcome = await finishDeletion(await withSnapshots(known, ports), ports);
    expect(outcome.map(({ manifests }) => manifests)).toEqual([0, 0]);
    expect(snapshots()).toBe(0);
  });

  test('which the user did not want a backup of gets none now', async () => {
    const here = world();
    const ports = deletePorts(here);
    const { record } = await publishDataset(INPUT, ports);
    const { requests } = await beginDeletion(record, ports);
    expect(requests.filter(({ kind }) => kind === KINDS.backup)).toEqual([]);
    expect(await restoreJob(ports, record.train.event.id)).toBeUndefined();
  });
});

test('after a crash at any change on the disk no key comes back, and the same command goes on to the end', async () => {
  const JOB = `jobs/${'ab'.repeat(32)}/job.json`;
  const here = world();
  const nobody = memoryNetwork([]);
  let record!: DatasetRecord;
  const portsOn = (disk: Disk): DeletePorts => {
    const home = openHome('/home', disk, { pid: 1, startOf: () => 'now' });
    return deletePorts(here, { files: homeFiles(home), relays: nobody.relays(), reader: async () => nobody.relays() });
  };
  let planned!: DeletedDataset;
  /** The process after a crash does not live long either; then the power goes. */
  let isNext = true;
  /** What the command does, without relays. `isKilled`: as soon as the keys are gone. */
  const run = async (disk: Disk, isKilled = false): Promise<void> => {
    const killed = { reader: () => Promise.reject(new Error('killed')) };
    const ports = { ...portsOn(disk), ...(isKilled && killed) };
    const earlier = await findDeleted(ports.files, { id: record.train.event.id });
    if (earlier === undefined) {
      const found = await ports.files.readJson<DatasetRecord>(`datasets/${INPUT.request}.json`);
      expect(keysOf(found!)).toEqual(keysOf(record));
      await keepDeleted(ports.files, planned);
    }
    const end = finishDeletion(earlier ?? planned, ports);
    if (isKilled) await expect(end).rejects.toThrow('killed');
    else expect(await end).toEqual([]);
  };
  const remains = async (disk: Disk): Promise<string> => {
    const { files } = portsOn(disk);
    let text = '';
    for (const folder of ['datasets', `datasets/${INPUT.request}`, 'deleted', `jobs/${'ab'.repeat(32)}`])
      for (const name of await files.list(folder))
        if (name !== INPUT.request) text += Buffer.from((await files.read(`${folder}/${name}`))!).toString('latin1');
    return text;
  };
  const tried = await atEveryCrash('delete-dataset', {
    before: async (disk) => {
      const ports = portsOn(disk);
      ({ record } = await publishDataset(INPUT, { ...ports, relays: here.ports.relays, reader: here.ports.reader }));
      planned = await beginDeletion(record, ports);
      await ports.files.forget(`deleted/${planned.snapshot}.json`);
      const event = { id: 'ab'.repeat(32) as EventId } as NostrEvent;
      const { train, a, b } = record;
      await ports.files.write(JOB, JSON.stringify({ event, seed: 'seed', train, a, b }));
      expect(keysOf(record).every((key) => key.length === 64)).toBe(true);
    },
    act: async (disk, say) => {
      isNext = true;
      await run(disk);
      say('done');
    },
    after: async (disk, said, say) => {
      const has = async () => keysOf(record).some((key) => text.includes(key));
      let text = await remains(disk);
      if (said.includes('done')) expect(await has()).toBe(false);
      await run(disk, isNext);
      isNext = false;
      text = await remains(disk);
      expect(await has()).toBe(false);
      expect(text).toContain('"seed":"seed"');
      say('done');
    },
  });
  expect(tried).toBeGreaterThan(200);
});
