import { describe, expect, test } from 'vitest';
import type { EngineId } from '../../src/learning/types.js';
import { paramsHash } from '../../src/learning/params.js';
import type { Engine, TrainRequest } from '../../src/ports.js';
import { jobEngine } from '../../src/roles/job-engine.js';
import { workerTurns, type WorkerKind } from '../../src/roles/worker-turns.js';
import { createEngine } from '../../src/training/engine.js';
import { request } from '../training/engine-data.js';

const ID = 'cpu/00000000/stub/x64' as EngineId;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Workers whose trainings end when the test says so, and what happened to them in order. */
function workshop(most: number, maxBytes = 100) {
  const log: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  let opened = 0;
  const open = async ({ bytes }: WorkerKind): Promise<Engine> => {
    const name = `w${++opened}`;
    log.push(`open ${name} ${bytes}`);
    return {
      id: ID,
      train: ({ seed }: TrainRequest) =>
        new Promise((resolve, reject) => {
          const job = String(seed);
          log.push(`${job} on ${name}`);
          ends.set(job, (error) => (error === undefined ? resolve({} as never) : reject(error)));
        }),
      evaluate: () => Promise.reject(new Error('not asked')),
      predict: () => Promise.reject(new Error('not asked')),
      close: async () => void log.push(`close ${name}`),
    };
  };
  const turns = workerTurns({ most, maxBytes }, open);
  const job = (name: string, bytes = 10) => {
    const engine = jobEngine(turns, { id: ID, bytes }, () => log.push(`${name} waits`));
    const train = (signal?: AbortSignal) =>
      engine.train({ seed: name as never } as unknown as TrainRequest, undefined, signal).then(
        () => 'done',
        (error: Error) => error.message,
      );
    return { train, close: () => engine.close() };
  };
  /** What was logged since the last call. */
  const news = async (): Promise<string[]> => {
    await settled();
    return log.splice(0);
  };
  return { turns, open, job, news, finish: (name: string, error?: Error) => ends.get(name)!(error) };
}

describe('workers of jobs', () => {
  test('are one per job, as many as may run, and the next in the order of asking', async () => {
    const { job, news, finish } = workshop(2);
    const [a, b, c, d] = [job('a'), job('b'), job('c'), job('d')];
    void a.train();
    void b.train();
    void c.train();
    void d.train();
    expect(await news()).toEqual(['open w1 10', 'open w2 10', 'c waits', 'd waits', 'a on w1', 'b on w2']);
    finish('b');
    // The second training of b comes after those that waited before it.
    void b.train();
    expect(await news()).toEqual(['close w2', 'open w3 10', 'b waits', 'c on w3']);
    finish('a');
    expect(await news()).toEqual(['close w1', 'open w4 10', 'd on w4']);
    finish('c');
    expect(await news()).toEqual(['close w3', 'open w5 10', 'b on w5']);
  });

  test('share the memory: a large job waits for enough of it and is not overtaken by a small one', async () => {
    const { job, news, finish } = workshop(4, 100);
    const [a, b, large, small] = [job('a', 40), job('b', 40), job('large', 70), job('small', 10)];
    void a.train();
    void b.train();
    void large.train();
    void small.train();
    expect(await news()).toEqual(['open w1 40', 'open w2 40', 'large waits', 'small waits', 'a on w1', 'b on w2']);
    finish('a');
    expect(await news()).toEqual(['close w1']);
    finish('b');
    expect(await news()).toEqual(['close w2', 'open w3 70', 'open w4 10', 'large on w3', 'small on w4']);
  });

  test('stay with their job between its trainings while nobody needs the place, and end with it', async () => {
    const { job, news, finish } = workshop(1);
    const a = job('a');
    const first = a.train();
    await settled();
    finish('a');
    expect(await first).toBe('done');
    const second = a.train();
    await settled();
    finish('a');
    expect(await second).toBe('done');
    await a.close();
    expect(await news()).toEqual(['open w1 10', 'a on w1', 'a on w1', 'close w1']);
    expect(await a.train()).toContain('stopped before its turn');
  });

  test('that fail end alone, and the job gets a new one', async () => {
    const { job, news, finish } = workshop(2);
    const [a, b] = [job('a'), job('b')];
    const dying = a.train();
    const other = b.train();
    await news();
    finish('a', new Error('out of memory'));
    expect(await dying).toBe('out of memory');
    void a.train();
    expect(await news()).toEqual(['close w1', 'open w3 10', 'a on w3']);
    finish('b');
    expect(await other).toBe('done');
  });

  test('are not waited for by who was stopped, and who comes after is served', async () => {
    const { job, news, finish } = workshop(1);
    const [a, b, c] = [job('a'), job('b'), job('c')];
    const stop = new AbortController();
    void a.train();
    const stopped = b.train(stop.signal);
    void c.train();
    await settled();
    stop.abort();
    expect(await stopped).toContain('stopped before its turn');
    finish('a');
    expect((await news()).at(-1)).toBe('c on w2');
  });

  test('that were open before serve the first job that asks for such a one', async () => {
    const { turns, open, job, news } = workshop(2);
    turns.spare(await open({ id: ID, bytes: 10 }), 10);
    await news();
    void job('a').train();
    expect(await news()).toEqual(['a on w1']);
    // Of another size: it is closed for the place it takes, not used.
    turns.spare(await open({ id: ID, bytes: 20 }), 20);
    void job('b').train();
    expect(await news()).toEqual(['open w2 20', 'close w2', 'open w3 10', 'b on w3']);
  });
});

test('a job that dies of its memory leaves the bytes of the one beside it as they are', async () => {
  const alone = await createEngine({ want: 'cpu' });
  const expected = paramsHash((await alone.train(request)).weights);
  const id = alone.id;
  await alone.close();
  // The estimate is 0.9 MB; the arrays that V8 has not collected yet are soon more.
  const turns = workerTurns({ most: 2, maxBytes: 1e9 }, ({ bytes }) =>
    createEngine({ want: 'cpu', limits: { maxBytes: bytes } }),
  );
  const engines = [1e6, 5e8].map((bytes) => jobEngine(turns, { id, bytes }, () => undefined));
  const endless: TrainRequest = { ...request, hyper: { ...request.hyper, epochs: 1_000_000 } };
  const [narrow, wide] = engines as [Engine, Engine];
  const [memory, hash] = await Promise.all([
    narrow.train(endless).catch((error: unknown) => error),
    wide.train(request).then(({ weights }) => paramsHash(weights)),
  ]);
  expect(memory).toMatchObject({ code: 'training-failed', expected: 'at most 1000000 bytes' });
  expect(hash).toBe(expected);
  expect(paramsHash((await narrow.train(request)).weights)).toBe(expected);
  await Promise.all(engines.map((engine) => engine.close()));
});
