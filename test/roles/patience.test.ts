import { describe, expect, it } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { createBell } from '../../src/roles/bell.js';
import { insisting } from '../../src/roles/patience.js';
import { virtualClock } from '../support/virtual-clock.js';

const silence = new NmktError('relay-unreachable', 'no relay answered', {
  expected: 'an answer',
  got: '-',
  remedy: '-',
});

function env(signal = new AbortController().signal) {
  const clock = virtualClock();
  const told: string[] = [];
  const say = (text?: string) => void told.push(text ?? '');
  const progress = { start: say, update: say, done: say, note: say, warn: say };
  return { told, env: { clock, bell: createBell(clock), progress, signal } };
}

describe('what has to be done', () => {
  it('is tried again while relays are silent, and the wait is told', async () => {
    const { told, env: waiting } = env();
    const startSec = waiting.clock.nowSec();
    let tries = 0;
    const value = await insisting(waiting, async () => {
      if (++tries < 4) throw silence;
      return 'done';
    });
    expect([value, tries, waiting.clock.nowSec() - startSec]).toEqual(['done', 4, 15]);
    expect(told).toHaveLength(3);
    expect(told[0]).toContain('waiting for relays, until they answer or this run is stopped');
  });

  it('may have no value', async () => {
    expect(await insisting(env().env, async () => undefined)).toBeUndefined();
  });

  it('ends with any other error', async () => {
    const wrong = new Error('wrong');
    await expect(insisting(env().env, () => Promise.reject(wrong))).rejects.toBe(wrong);
  });

  it('ends with `interrupted` when it is stopped', async () => {
    const stop = new AbortController();
    const trying = insisting(env(stop.signal).env, async () => {
      stop.abort();
      throw silence;
    });
    await expect(trying).rejects.toMatchObject({ code: 'interrupted' });
  });
});
