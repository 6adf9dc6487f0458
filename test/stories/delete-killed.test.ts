import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { NostrEvent } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { startFaultyRelay } from '../support/faults/faulty-relay.js';
import { finished, runNmkt, startNmkt, temporaryFolder } from '../support/run-nmkt.js';

const iris = resolve('examples/iris.csv');

it('a deletion that is killed between two requests goes on with the same ones, and its keys are gone by then', async () => {
  const folder = temporaryFolder();
  let onRequest: (event: NostrEvent) => 'ok' | 'nothing' = () => 'ok';
  const requests: string[] = [];
  const gone = new Set<string>();
  const relay = await startFaultyRelay({
    take: (event) => {
      if (event.kind !== 5 && event.kind !== 62) return { keep: true, say: 'ok' };
      requests.push(event.id);
      const say = onRequest(event);
      if (say === 'ok') for (const [name, id] of event.tags) if (name === 'e') gone.add(id!);
      return { keep: say === 'ok', say };
    },
    answer: (_, found) => ({ events: found.filter(({ id }) => !gone.has(id)), end: 'eose' }),
    passesOn: true,
  });
  const home = join(folder, 'home');
  const common = ['--relay', relay.url, '--home', home];
  const nmkt = (...args: string[]) => runNmkt([...args, ...common], { cwd: folder });
  const publish = async () => {
    const { status, stdout, stderr } = await nmkt('publish-dataset', iris, '--label', 'species', '--json');
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as { readonly dataset: string; readonly snapshot: string; readonly chunks: number };
  };
  const secrets = (): string[] => {
    const texts = readdirSync(join(home, 'datasets'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.json'))
      .map((name) => readFileSync(join(home, 'datasets', name), 'utf8'));
    return texts.flatMap((text) => [...text.matchAll(/"key":"([0-9a-f]{64})"/g)].map(([, key]) => key!));
  };
  try {
    const { dataset, snapshot, chunks } = await publish();
    expect(new Set(secrets()).size).toBe(3);
    const unsure = await nmkt('delete-dataset', dataset);
    expect([unsure.status, unsure.stderr]).toEqual([2, expect.stringContaining('try:  add --yes')]);
    expect(requests).toEqual([]);

    const first = startNmkt(['delete-dataset', dataset, '--yes', ...common], { cwd: folder });
    onRequest = () => (requests.length === 3 && first.kill('SIGKILL') ? 'nothing' : 'ok');
    expect((await finished(first)).signal).toBe('SIGKILL');
    expect(secrets()).toEqual([]);
    const known = [...requests];
    onRequest = () => 'ok';

    const second = await nmkt('delete-dataset', dataset, '--json');
    expect(second.status, second.stderr).toBe(0);
    const report = { relay: relay.url, message: '', before: chunks, after: 0, manifests: 0 };
    const of = { snapshot, chunks, asked: Math.min(chunks, 20), manifests: 4, jobs: [] };
    expect(JSON.parse(second.stdout)).toEqual({ ...of, relays: [{ ...report, sent: 8, taken: 8 }] });
    expect(requests.slice(3, 6)).toEqual(known);
    const last = requests.length;

    const third = await nmkt('delete-dataset', snapshot, '--json');
    expect([third.status, JSON.parse(third.stdout)]).toEqual([
      0,
      { ...of, relays: [{ ...report, sent: 0, taken: 0 }] },
    ]);
    expect(requests.length).toBe(last);
    const job = await nmkt('post-job', '--dataset', snapshot, '--rail', 'none');
    expect([job.status, job.stderr]).toEqual([5, expect.stringContaining('code: dataset-deleted')]);

    const again = await publish();
    expect([again.dataset, again.snapshot]).not.toContain(dataset);
    expect(again.snapshot).not.toBe(snapshot);
    const kept = relay.stored().filter(({ kind, id }) => kind === KINDS.chunk && !gone.has(id));
    expect(kept.length).toBe(again.chunks);
  } finally {
    await relay.close();
  }
}, 60_000);
