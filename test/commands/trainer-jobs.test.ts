import { expect, it } from 'vitest';
import { serveAll, type Server } from '../../src/commands/trainer-jobs.js';
import { readBounds } from '../../src/commands/trainer-bounds.js';
import { NmktError } from '../../src/errors.js';
import type { Filter } from '../../src/ports.js';
import { people, scriptJob } from '../support/job-script.js';

it('with --once a job that fails is told with its reason, and ends the command only when no other is in work', async () => {
  const events = [1, 2].map((seed) => scriptJob({ until: 'job', terms: { title: `job ${seed}` } }).events[0]!);
  const [failing, other] = events.map(({ id }) => id);
  const told: string[] = [];
  const dead = new NmktError('training-failed', 'too much', { remedy: 'less', expected: '1 byte', got: '2 bytes' });
  let leaveOther = (): void => undefined;
  const otherLeft = new Promise<void>((resolve) => (leaveOther = resolve));
  let hearTold = (): void => undefined;
  const failed = new Promise<void>((resolve) => (hearTold = resolve));
  const server = {
    ...{ seats: new Set<never>(), held: () => 0 },
    ...{ stop: new AbortController().signal, bounds: readBounds({ price: '20' }, 'sandbox'), wallet: null },
    ports: {
      signer: { pubkey: people[7]!.pubkey },
      clock: { nowSec: () => 1_800_000_000, nowMs: () => 0, wait: () => Promise.resolve() },
      files: { list: async () => [] },
      relays: {
        urls: ['ws://relay'],
        // The jobs, or a snapshot that no relay has.
        fetch: async ([filter]: Filter[]) => ({ events: filter!.kinds ? events : [], answered: ['ws://relay'] }),
        subscribe: () => ({ close: () => undefined }),
      },
    },
    context: {
      progress: { warn: () => undefined },
      deps: {
        home: () => ({ path: (name: string) => name }),
        openJournal: async (path: string) => {
          if (path.includes(failing!)) throw dead;
          await otherLeft;
          return { read: async () => [], close: async () => undefined };
        },
      },
    },
    emit(job: string, event: string, fields: { readonly got?: string }) {
      told.push(`${job === failing ? 'failing' : 'other'} ${event} ${fields.got}`);
      hearTold();
    },
  } as unknown as Server;
  expect(other).not.toBe(failing);
  const end = serveAll(server, undefined, true).catch((error: unknown) => error);
  await failed;
  expect(told).toEqual(['failing error 2 bytes']);
  leaveOther();
  expect(await end).toBe(dead);
  expect(told.at(-1)).toMatch(/^other skipped/);
});
