import { describe, expect, it } from 'vitest';
import { openHome } from '../../src/config/home.js';
import { createKey } from '../../src/config/own-key.js';
import type { Disk } from '../../src/disk/disk.js';
import { openJournal } from '../../src/journal/file-journal.js';

import type { NostrEvent } from '../../src/ports.js';
import { openLogStore } from '../../src/relay/store-log.js';
import { openLedger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { openSandboxFolder } from '../../src/wallet/sandbox-folder.js';
import { at, atEveryCrash, atEveryFault } from '../support/crash-points.js';
import { SimDisk, type DiskFault } from '../support/sim-disk.js';
import { storedEvent } from '../support/stored-event.js';
import { namedRandom } from '../support/market-world.js';
import { note, NOW } from '../relay/samples.js';

/** Every durable writer over a disk that forgets: what was acknowledged is there after any crash, and it goes on. */

const FAULTS: readonly DiskFault[] = [
  { kind: 'error', code: 'ENOSPC' },
  { kind: 'error', code: 'ENOSPC', afterBytes: 7 },
  { kind: 'error', code: 'EIO', afterBytes: 40 },
  { kind: 'error', code: 'EDQUOT', afterBytes: 1_000_000 },
  { kind: 'short', bytes: 3 },
];
/** Longer than a block, so that it can tear in more than one place. */
const long = (n: number) => ({ n, text: `${n}`.repeat(400) });
/** A process that alone is alive: whoever held a lock before is dead. */
let pids = 0;
function survivor() {
  const pid = ++pids;
  return { pid, startOf: (of: number) => (of === pid ? 'now' : undefined) };
}

/** Until it works; at most three times. */
async function insist<T>(failed: (error: unknown) => void, attempt: () => Promise<T>): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      return await attempt();
    } catch (error) {
      if (n === 2) throw error;
      failed(error);
    }
  }
}

describe('a journal', () => {
  const path = '/home/c/jobs/1/events.jsonl';
  const numbers = async (disk: Disk) => {
    const journal = await openJournal<{ n: number }>(path, disk);
    return (await journal.read()).map(({ n }) => n);
  };

  it('holds what it acknowledged, in order, and at most the record after it, and takes more', async () => {
    const tried = await atEveryCrash('journal', {
      before: async (disk) => disk.makeFolder('/home/c'),
      act: async (disk, say) => {
        const journal = await openJournal(path, disk);
        for (const n of [0, 1, 2]) {
          await journal.append(long(n));
          say(`${n}`);
        }
      },
      after: async (disk, said, say) => {
        const found = await numbers(disk);
        expect(found).toEqual([0, 1, 2, 3, 4].slice(0, found.length));
        expect(found.length).toBeGreaterThanOrEqual(said.length);
        expect(found.length).toBeLessThanOrEqual(said.length + 1);
        for (const n of found.slice(said.length)) say(`${n}`);
        const journal = await openJournal(path, disk);
        await journal.append(long(found.length));
        say(`${found.length}`);
        expect(await numbers(disk)).toEqual([0, 1, 2, 3, 4].slice(0, found.length + 1));
      },
    });
    expect(tried).toBeGreaterThan(200);
  });

  it('shows nothing that the next crash could take away, also to a reader that adds nothing', async () => {
    await atEveryCrash('journal read', {
      act: async (disk) => {
        await (await openJournal(path, disk)).append(long(0));
      },
      after: async (disk, said, say) => {
        const found = await numbers(disk);
        expect(found.length).toBeGreaterThanOrEqual(said.length);
        if (said.length === 0 && found.length === 1) say('read');
      },
    });
  });

  it('loses nothing that it acknowledged when a write fails after any number of bytes, and goes on', async () => {
    const failures = await atEveryFault('journal faults', FAULTS, {
      act: async (disk, failed) => {
        const journal = await openJournal(path, disk);
        for (const n of [0, 1, 2]) await insist(failed, () => journal.append(long(n)));
      },
      after: async (disk) => expect(await numbers(disk)).toEqual([0, 1, 2]),
    });
    expect(failures).toBeGreaterThan(20);
  });

  it.each([
    ['ENOSPC', 'disk-full'],
    ['EDQUOT', 'disk-full'],
    ['EIO', 'disk-failed'],
  ] as const)('says what the disk said: %s is %s', async (error, code) => {
    const { disk } = new SimDisk(error).start(({ name }) =>
      name === 'write' ? { kind: 'error', code: error, afterBytes: 5 } : undefined,
    );
    const journal = await openJournal(path, disk);
    await expect(journal.append(long(0))).rejects.toMatchObject({ code, got: error, exitStatus: 3 });
    await expect(openHome('/home/c', disk).writeFile('a', 'b')).rejects.toMatchObject({ code, exitStatus: 3 });
  });

  it('adds nothing more when what it half wrote cannot be taken back: a record may be there that nobody knows of', async () => {
    let isBroken = false;
    const { disk } = new SimDisk('stuck').start(({ name, path: where }) =>
      where === path && isBroken && (name === 'sync' || name === 'truncate')
        ? { kind: 'error', code: 'EIO' }
        : undefined,
    );
    const journal = await openJournal<{ n: number }>(path, disk);
    await journal.append(long(0));
    isBroken = true;
    await expect(journal.append(long(1))).rejects.toMatchObject({ code: 'disk-failed' });
    await expect(journal.append(long(2))).rejects.toMatchObject({
      code: 'disk-failed',
      message: expect.stringContaining('could not be repaired') as string,
    });
    isBroken = false;
    await expect(journal.append(long(2))).rejects.toThrow('could not be repaired');
    expect(await numbers(disk)).toEqual([0, 1]);
  });
});

describe('a file of a home', () => {
  it('is the old one or the new one, whole, and the new one once that was said', async () => {
    await atEveryCrash('home', {
      before: async (disk) => openHome('/home/c', disk, survivor()).writeFile('jobs/1/job.json', long(0).text),
      act: async (disk, say) => {
        const home = openHome('/home/c', disk, survivor());
        await home.lock();
        await home.writeFile('jobs/1/job.json', long(1).text);
        say('new');
        await home.writeFile('jobs/2/deep/model.bin', long(2).text);
        say('deep');
        await home.unlock();
      },
      after: async (disk, said, say) => {
        const home = openHome('/home/c', disk, survivor());
        await home.lock();
        const text = async (name: string) => Buffer.from((await home.readFile(name)) ?? []).toString();
        const [first, second] = [await text('jobs/1/job.json'), await text('jobs/2/deep/model.bin')];
        expect([long(0).text, long(1).text]).toContain(first);
        expect(['', long(2).text]).toContain(second);
        if (said.includes('new')) expect(first).toBe(long(1).text);
        else if (first === long(1).text) say('new');
        if (said.includes('deep')) expect(second).toBe(long(2).text);
        else if (second !== '') say('deep');
        await home.unlock();
      },
    });
  });

  it('is the old one when the write fails, and the new one when it succeeds at last', async () => {
    await atEveryFault('home faults', FAULTS, {
      before: async (disk) => openHome('/home/c', disk).writeFile('a', 'old'),
      act: async (disk, failed) => {
        const home = openHome('/home/c', disk);
        await insist(
          (error) => failed(error),
          () => home.writeFile('a', long(1).text),
        );
      },
      after: async (disk) => {
        expect(Buffer.from((await openHome('/home/c', disk).readFile('a'))!).toString()).toBe(long(1).text);
        expect(await disk.list('/home/c')).toEqual(['a']);
      },
    });
  });
});

it('a key that was given out is the key for ever', async () => {
  await atEveryCrash('key', {
    act: async (disk, say) => say(await createKey(openHome('/home/t', disk), namedRandom('first'))),
    after: async (disk, said, say) => {
      const key = await createKey(openHome('/home/t', disk), namedRandom(`next ${said.length}`));
      if (said.length > 0) expect(key).toBe(said[0]);
      say(key);
    },
  });
});

describe('the event log of the relay', () => {
  const events = [0, 1, 2, 3].map((n) => note('alice', { created_at: NOW - n, content: long(n).text }));
  const open = (disk: Disk) => openLogStore('/sb/relay', () => NOW, disk, survivor());
  const ids = (store: Awaited<ReturnType<typeof open>>) => store.find({}, 100, () => true).map(({ head }) => head.id);

  it('serves what it acknowledged, and nothing that the next crash could take away', async () => {
    const tried = await atEveryCrash('relay', {
      act: async (disk, say) => {
        const store = await open(disk);
        const add = (n: number) =>
          store.add(events[n]!, JSON.stringify(events[n]), () => undefined).then(() => say(events[n]!.id));
        await add(0);
        await Promise.all([add(1), add(2)]);
      },
      after: async (disk, said, say) => {
        const store = await open(disk);
        const found = ids(store);
        expect(found).toEqual(expect.arrayContaining([...said]));
        for (const id of found.filter((one) => !said.includes(one))) say(id);
        for (const stored of store.find({}, 100, () => true))
          expect(await storedEvent(stored)).toEqual(events.find(({ id }) => id === stored.head.id));
        // What it found must be sure without a write after it.
        if (found.length === said.length && !found.includes(events[3]!.id))
          await store.add(events[3]!, JSON.stringify(events[3]), () => undefined).then(() => say(events[3]!.id));
        await store.close();
      },
    });
    expect(tried).toBeGreaterThan(100);
  });

  it('loses nothing that it acknowledged when the disk fails', async () => {
    await atEveryFault('relay faults', FAULTS, {
      act: async (disk, failed) => {
        const store = await insist(failed, () => open(disk));
        for (const event of events)
          await insist(failed, async () => {
            const verdict = await store.add(event, JSON.stringify(event), () => undefined);
            expect(verdict).toBe('new');
          });
      },
      after: async (disk) => expect(ids(await open(disk))).toEqual(events.map(({ id }) => id)),
    });
  });

  it('goes on when a disk that would not even take back a failed write works again', async () => {
    let isBroken = false;
    const machine = new SimDisk('stuck relay');
    const { disk } = machine.start(({ name }) =>
      isBroken && ['write', 'sync', 'truncate'].includes(name)
        ? { kind: 'error', code: 'EIO', afterBytes: 100 }
        : undefined,
    );
    const store = await open(disk);
    const add = (n: number) => store.add(events[n]!, JSON.stringify(events[n]), () => undefined);
    await add(0);
    isBroken = true;
    await expect(add(1)).rejects.toMatchObject({ code: 'EIO' });
    await expect(add(2)).rejects.toThrow('could not be repaired');
    isBroken = false;
    await add(2);
    machine.powerCut();
    expect(ids(await open(machine.start().disk))).toEqual([events[0]!.id, events[2]!.id]);
  });

  it('keeps all that is not deleted when a crash falls into its rewriting', async () => {
    const big = Array.from({ length: 14 }, (_, n) => note('bob', { content: `${n}${'x'.repeat(100_000)}` }));
    const deletion = note('bob', { kind: 5, tags: big.slice(1).map(({ id }) => ['e', id]) });
    const wanted = [big[0]!.id, deletion.id].sort();
    const base = new SimDisk('rewrite');
    const store = await open(base.start().disk);
    for (const event of [...big, deletion]) await store.add(event, JSON.stringify(event), () => undefined);
    await store.close();
    const steps = base.copy('count').start();
    await open(steps.disk);
    expect(steps.steps.map(({ name }) => name)).toContain('rename');
    for (const { n } of steps.steps)
      for (const cut of ['kill', 'power'] as const) {
        const machine = base.copy(`rewrite ${n} ${cut}`);
        await expect(open(machine.start(at(n, 'during', cut)).disk)).rejects.toThrow();
        const found = await open(machine.start().disk);
        expect(ids(found).sort(), `${cut} at ${n}`).toEqual(wanted);
      }
  });
});

describe('the event log of the relay, rewritten while it is in use', () => {
  const old = [0, 1, 2, 3, 4, 5].map((n) => note('alice', { created_at: NOW - n, content: long(n).text }));
  const fresh = [6, 7].map((n) => note('bob', { created_at: NOW - n, content: long(n).text }));
  const deletion = note('alice', { kind: 5, tags: old.slice(1).map(({ id }) => ['e', id]) });
  const open = (disk: Disk) => openLogStore('/sb/relay', () => NOW, disk, survivor(), 500);
  type Store = Awaited<ReturnType<typeof open>>;
  const add = (store: Store, event: NostrEvent) => store.add(event, JSON.stringify(event), () => undefined);
  const ids = (store: Store) => store.find({}, 100, () => true).map(({ head }) => head.id);
  const before = async (disk: Disk): Promise<void> => {
    const store = await open(disk);
    for (const event of [...old, deletion]) await add(store, event);
    await store.close();
  };
  const kept = [old[0]!.id, deletion.id];

  it('keeps what it acknowledged, before it and meanwhile, and brings nothing deleted back, after any crash', async () => {
    const tried = await atEveryCrash('rewriting', {
      before,
      act: async (disk, say) => {
        const store = await open(disk);
        const adding = add(store, fresh[0]!).then(() => say(fresh[0]!.id));
        // What is awaited later may be rejected by then.
        await Promise.all([store.tend(), adding]);
        expect((await disk.readFile('/sb/relay/events.jsonl')).length).toBeLessThan(3_000);
        await add(store, fresh[1]!).then(() => say(fresh[1]!.id));
      },
      after: async (disk, said, say) => {
        const store = await open(disk);
        const found = ids(store);
        expect(found).toEqual(expect.arrayContaining([...kept, ...said]));
        expect(found.filter((id) => !kept.includes(id) && !fresh.some((one) => one.id === id))).toEqual([]);
        expect(await add(store, old[2]!)).toBe('deleted');
        for (const stored of store.find({}, 100, () => true))
          expect((await storedEvent(stored)).id).toBe(stored.head.id);
        for (const id of found.filter((one) => !said.includes(one))) say(id);
        await store.close();
      },
    });
    expect(tried).toBeGreaterThan(100);
  });

  it('goes on with the log it has when the disk fails, and takes no event that it could lose', async () => {
    await atEveryFault('rewriting faults', FAULTS, {
      before,
      act: async (disk, failed) => {
        const store = await insist(failed, () => open(disk));
        await store.tend();
        for (const event of fresh) await insist(failed, () => add(store, event));
        expect(ids(store)).toEqual(expect.arrayContaining([...kept, ...fresh.map(({ id }) => id)]));
      },
      after: async (disk) => {
        expect(ids(await open(disk)).sort()).toEqual([...kept, ...fresh.map(({ id }) => id)].sort());
      },
    });
  });
});

it('the books of the sandbox lose no payment that a wallet answered for, and no msat', async () => {
  const path = '/sb/ledger.jsonl';
  const invoice = (n: number) => ({
    ...{ paymentHash: `hash ${n}`, preimage: `preimage ${n}`, account: 'b', msat: BigInt(n), invoice: `invoice ${n}` },
    ...{ createdSec: NOW, expiresSec: NOW + 60 },
  });
  const open = async (disk: Disk) => openLedger(await openJournal<LedgerRecord>(path, disk));
  await atEveryCrash('ledger', {
    act: async (disk, say) => {
      const ledger = await open(disk);
      await ledger.fundOnce('a', 1000n);
      for (const n of [1, 2]) {
        await ledger.addInvoice(invoice(n));
        expect((await ledger.pay('a', `hash ${n}`, NOW)).kind).toBe('paid');
        say(`${n}`);
      }
    },
    after: async (disk, said, say) => {
      const ledger = await open(disk);
      await ledger.fundOnce('a', 1000n);
      const paid = [1, 2].filter((n) => ledger.find(`hash ${n}`)?.payment !== undefined);
      expect(paid.map(String)).toEqual(expect.arrayContaining([...said]));
      for (const n of paid) if (!said.includes(`${n}`)) say(`${n}`);
      expect(ledger.totalMsat()).toBe(1000n);
      expect(ledger.balanceMsat('b')).toBe(paid.reduce((sum, n) => sum + BigInt(n), 0n));
    },
  });
});

it('a settings file of the sandbox is whole, and stays once written', async () => {
  await atEveryCrash('sandbox', {
    act: async (disk, say) => {
      await openSandboxFolder('/sb', disk).write('keys.json', long(1));
      say('written');
    },
    after: async (disk, said) => {
      const found = await openSandboxFolder('/sb', disk).read('keys.json');
      expect([undefined, 1]).toContain((found as { n: number } | undefined)?.n);
      if (said.length > 0) expect(found).toEqual(long(1));
    },
  });
});

it('one home has one user: a lock left by a killed process is free, one of a living process is not', async () => {
  const machine = new SimDisk('lock');
  const started = new Map([
    [1, 'now'],
    [2, 'now'],
  ]);
  const processes = (pid: number) => ({ pid, startOf: (of: number) => started.get(of) });
  const [first, second] = [machine.start(), machine.start()];
  await openHome('/h', first.disk, processes(1)).lock();
  const refused = { code: 'home-locked', got: 'pid 1' };
  await expect(openHome('/h', second.disk, processes(2)).lock()).rejects.toMatchObject(refused);
  first.die();
  // Its pid runs again, as another process.
  started.set(1, 'later');
  const home = openHome('/h', second.disk, processes(2));
  await home.lock();
  await home.unlock();
  expect(await second.disk.list('/h')).toEqual([]);
});
