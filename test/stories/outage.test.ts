import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { iris, runJson, startSandbox, startStream, storyFolder, type Json, type Stream } from '../support/story.js';

/** Two relays that are killed and come back, as separate processes; the wallets have a third one to themselves. */

const ROUNDS = 3;
const TRAINERS = ['trainer-1', 'trainer-2'];
const JOB = { hidden: [16], rounds: ROUNDS, trainers: 2, localSteps: 400, batch: 8, maxPriceSats: 100 };

interface RealRelay {
  readonly url: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

async function startRelay(folder: string, name: string): Promise<RealRelay> {
  const start = async (port: string): Promise<{ stream: Stream; url: string }> => {
    const stream = startStream(['relay', '--dir', join(folder, name), '--port', port]);
    const { relay } = await stream.event(({ event }) => event === 'ready');
    return { stream, url: relay as string };
  };
  let running = await start('0');
  const { url } = running;
  return {
    url,
    async kill() {
      running.stream.child.kill('SIGKILL');
      expect((await running.stream.end).signal).toBe('SIGKILL');
    },
    async restart() {
      running = await start(new URL(url).port);
    },
  };
}

/** A function that waits until a process has said something on stderr since it was called. */
function listen({ child, end }: Stream): (wanted: RegExp) => Promise<string> {
  let said = '';
  const waiting = new Set<() => void>();
  child.stderr!.on('data', (text: string) => {
    said += text;
    for (const look of waiting) look();
  });
  return (wanted) =>
    new Promise((done, fail) => {
      const from = said.length;
      const look = (): void => {
        const found = wanted.exec(said.slice(from));
        if (found !== null) done(found[0]);
      };
      waiting.add(look);
      void end.then(({ stderr }) => fail(new Error(`it ended before it said ${wanted}: ${stderr.slice(-2000)}`)));
    });
}

const isAt = (event: string, round: number) => (said: Json) => said['event'] === event && said['round'] === round;

it('one relay is killed, then the other one too; everybody says so, and goes on when one is back', async () => {
  const folder = storyFolder();
  const sandbox = await startSandbox(TRAINERS.length, folder);
  const [a, b] = [await startRelay(folder, 'relay-a'), await startRelay(folder, 'relay-b')];
  const both = ['--relay', a.url, '--relay', b.url];
  const file = join(folder, 'job.json');
  writeFileSync(file, JSON.stringify(JOB));
  const customer = [...sandbox.as('customer'), ...both];
  const published = await runJson(['publish-dataset', iris, '--label', 'species', '--job', file, ...customer]);
  expect(published.status, published.stderr).toBe(0);
  const job = published.document['job'] as string;
  const trainers = TRAINERS.map((name) =>
    startStream(['serve-trainer', ...sandbox.as(name), ...both, '--price', '100', '--once']),
  );
  const collecting = startStream(['collect-model', job, '--out', join(folder, 'model'), ...customer]);
  const processes = [collecting, ...trainers];
  const said = processes.map(listen);

  await trainers[0]!.event(isAt('committed', 0));
  await a.kill();
  await trainers[0]!.event(isAt('accepted', 0));
  await trainers[1]!.event(isAt('round', 1));
  const lines = said.map((line) => line(/no relay answers since .*waiting for .*until \d\d:\d\d:\d\d UTC/));
  await b.kill();
  await Promise.all(lines);
  await a.restart();
  await trainers[1]!.event(isAt('accepted', 1));
  await b.restart();

  const ends = await Promise.all(processes.map(({ end }) => end));
  expect(ends.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual([0, 0, 0]);
  expect(collecting.events[0]).toMatchObject({ rounds: ROUNDS, paidMsat: 600_000, verified: true });
  expect(sandbox.books().payments).toHaveLength(ROUNDS * TRAINERS.length);
  const { document: audit } = await runJson(['audit', job, ...customer]);
  expect(audit).toMatchObject({ verdict: 'PASS', forks: [], unreadable: 0 });
  await a.kill();
  await b.kill();
}, 240_000);
