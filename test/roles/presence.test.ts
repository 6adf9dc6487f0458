import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { localSigner } from '../../src/signer.js';
import { announcePresence, type Presence } from '../../src/roles/presence.js';
import { namedRandom, quietProgress } from '../support/market-world.js';
import { memoryNetwork, type MemoryNetwork } from '../support/memory-relays.js';
import { virtualClock, type VirtualClock } from '../support/virtual-clock.js';

interface Stage {
  readonly network: MemoryNetwork;
  readonly clock: VirtualClock;
  readonly said: Record<string, string[]>;
  /** A process of one key unless another is named. */
  readonly start: (
    name: string,
    how?: { readonly isSecond?: boolean; readonly scope?: string; readonly key?: string },
  ) => Promise<Presence>;
}

function stage(): Stage {
  const [network, clock, said] = [memoryNetwork(), virtualClock(), {} as Record<string, string[]>];
  return {
    ...{ network, clock, said },
    start: (name, { isSecond = false, scope = 'trainer', key = 'key' } = {}) =>
      announcePresence(scope, {
        ...{ relays: network.relays(), signer: localSigner(sha256(key)), clock, isSecond },
        ...{ random: namedRandom(name), progress: quietProgress((said[name] ??= [])) },
      }),
  };
}

const template = (nowSec: number) => ({ kind: 1, created_at: nowSec, tags: [], content: '' });

describe('two processes of one key', () => {
  test('a restored home that comes second leaves before it signs; the first goes on and says so', async () => {
    const { start, said, clock } = stage();
    const first = await start('first');
    await expect(start('second', { isSecond: true })).rejects.toMatchObject({ code: 'key-in-use' });
    expect(said['first']!.join()).toContain('another process of this key was started');
    expect(first.rival.aborted).toBe(false);
    expect((await first.signer.sign(template(clock.nowSec()))).kind).toBe(1);
  });

  test('also when the first one is the restored home: who is there stays', async () => {
    const { start, clock } = stage();
    const first = await start('first', { isSecond: true });
    const second = await start('second');
    await clock.wait(1);
    expect(second.rival.aborted).toBe(true);
    await expect(second.signer.sign(template(clock.nowSec()))).rejects.toMatchObject({ code: 'key-in-use' });
    expect(first.rival.aborted).toBe(false);
  });

  test('do not disturb each other over different jobs, or under different keys, or after one ended', async () => {
    const { start, clock, said } = stage();
    const a = await start('a', { scope: 'a'.repeat(64) });
    const others = [
      await start('b', { scope: 'b'.repeat(64), isSecond: true }),
      await start('c', { scope: 'a'.repeat(64), key: 'another', isSecond: true }),
    ];
    a.close();
    others.push(await start('d', { scope: 'a'.repeat(64), isSecond: true }));
    await clock.wait(1);
    expect([a, ...others].map(({ rival }) => rival.aborted)).toEqual([false, false, false, false]);
    expect(Object.values(said).flat()).toEqual([]);
  });

  test('a relay cannot end a process by playing back what was said to another one', async () => {
    const { start, network, clock } = stage();
    const heard: Parameters<Parameters<ReturnType<MemoryNetwork['relays']>['subscribe']>[1]>[0][] = [];
    network.relays().subscribe([{ kinds: [KINDS.presence] }], (event) => void heard.push(event));
    await start('first');
    const second = await start('second');
    await clock.wait(1);
    expect(second.rival.aborted).toBe(true);
    expect(heard).toHaveLength(3);

    const other = memoryNetwork();
    const third = await announcePresence('trainer', {
      ...{ relays: other.relays(), signer: localSigner(sha256('key')), clock, isSecond: false },
      ...{ random: namedRandom('third'), progress: quietProgress([]) },
    });
    for (const event of heard) await other.relays().publish(event);
    await clock.wait(1);
    expect(third.rival.aborted).toBe(false);
  });

  test('without a relay that answers a process goes on alone', async () => {
    const { start, network, clock } = stage();
    network.setDown('wss://memory.example', true);
    const only = await start('only', { isSecond: true });
    expect((await only.signer.sign(template(clock.nowSec()))).kind).toBe(1);
  });
});
