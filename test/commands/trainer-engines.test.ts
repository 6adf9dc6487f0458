import { expect, it } from 'vitest';
import { readBounds } from '../../src/commands/trainer-bounds.js';
import { readParallel, shareOf, trainerEngines } from '../../src/commands/trainer-engines.js';
import type { EngineRequest } from '../../src/deps.js';
import type { Rung } from '../../src/learning/types.js';
import type { Engine, TrainRequest } from '../../src/ports.js';
import type { Snapshot } from '../../src/protocol/dataset.js';
import type { EventOf } from '../../src/protocol/events.js';
import { scriptJob } from '../support/job-script.js';

const [GIB, MIB] = [2 ** 30, 2 ** 20];

it.each([
  ['an equal share', GIB, 2, 0, 512 * MIB],
  ['twice the estimate where that is more', GIB, 2, 300 * MIB, 600 * MIB],
  ['all of it at most', GIB, 2, 700 * MIB, GIB],
  ['no less than 256 MiB, however many may run', GIB, 64, 0, 256 * MIB],
  ['no more than there is', 100, 64, 0, 100],
])('a training may take %s', (_, maxBytes, parallel, estimate, bytes) => {
  expect(shareOf(maxBytes, parallel, estimate)).toBe(bytes);
});

it('as many train at a time as it is said, else no more than the memory bears, and one in any case', () => {
  expect(readParallel({ parallel: '7' }, { maxBytes: 1 }, 1)).toBe(7);
  expect(readParallel({}, { maxBytes: 100 * MIB }, 1)).toBe(1);
  expect(readParallel({}, { maxBytes: 2 ** 40 }, 10_000)).toBe(1);
  expect(() => readParallel({ parallel: '0' }, { maxBytes: GIB }, 1)).toThrow('--parallel is out of range');
});

it('what was opened to see which engine loads serves the first job; the others get their own on the same rung', async () => {
  const asked: EngineRequest[] = [];
  let version = 'one';
  const engine = async (request: EngineRequest): Promise<Engine> => {
    asked.push(request);
    const rung: Rung = request.accepted?.[0] ?? 'wasm';
    const end = async () => undefined;
    return { id: `${rung}/${version}`, train: end, close: end } as unknown as Engine;
  };
  const context = { deps: { engine }, progress: { note: () => undefined } } as never;
  const bounds = readBounds({ price: '20' }, 'sandbox');
  const engines = trainerEngines(context, bounds, { parallel: 2, threads: 1 });
  const job = scriptJob({ until: 'job' }).parsed[0] as EventOf<'job'>;
  const schema = { inputs: 4, outputs: 3, dtype: 'F32', task: 'classification', shape: [4], scale: 1 };
  const snapshot = { manifest: { schema, shards: [{ examples: 3 }] } } as unknown as Snapshot;
  const accepting = (rung: Rung) => ({ ...job, content: { ...job.content, acceptedEngines: [rung] } });

  const first = await engines.forJob(accepting('wasm'), snapshot);
  await first.train({} as TrainRequest);
  expect(asked).toEqual([{ limits: { maxBytes: 512 * MIB, maxMinutes: 60 }, threads: 1 }]);
  await (await engines.forJob(accepting('wasm'), snapshot)).train({} as TrainRequest);
  expect(asked.at(-1)).toEqual({ limits: { maxBytes: 512 * MIB, maxMinutes: 60 }, threads: 1, accepted: ['wasm'] });
  const onCpu = await engines.forJob(accepting('cpu'), snapshot);
  expect(onCpu.id).toBe('cpu/one');
  // Another version would end in other bytes than this process has promised.
  version = 'two';
  await expect(onCpu.train({} as TrainRequest)).rejects.toMatchObject({
    ...{ code: 'engine-unavailable', expected: 'cpu/one', got: 'cpu/two' },
  });
});
