import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { EventId } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { startFaultyRelay } from '../support/faults/faulty-relay.js';
import { finished, runNmkt, startNmkt, temporaryFolder } from '../support/run-nmkt.js';

const KILLED_AT = 140;

/** Images of noise: what does not compress makes many chunks. */
function writeNoise(folder: string, images: number): string {
  const header = (magic: number, ...sizes: number[]) => {
    const bytes = Buffer.alloc(4 + 4 * sizes.length);
    [magic, ...sizes].forEach((value, at) => bytes.writeUInt32BE(value, 4 * at));
    return bytes;
  };
  const pixels = randomFillSync(Buffer.alloc(images * 784));
  const path = join(folder, 'noise-images-idx3-ubyte');
  writeFileSync(path, Buffer.concat([header(0x803, images, 28, 28), pixels]));
  const labels = Buffer.from(Uint8Array.from({ length: images }, (_, at) => at % 10));
  writeFileSync(join(folder, 'noise-labels-idx1-ubyte'), Buffer.concat([header(0x801, images), labels]));
  return path;
}

it('an upload that is killed near its end goes on there, and a relay that forgot gets everything again', async () => {
  const folder = temporaryFolder();
  const path = writeNoise(folder, 10_000);
  let onChunk: (count: number) => void = () => undefined;
  const got: EventId[] = [];
  let limit = KILLED_AT;
  let isForgetful = false;
  const relay = await startFaultyRelay({
    take: ({ kind, id }: NostrEvent) => {
      // What is on its way when the process is killed does not arrive.
      if (got.length >= limit) return { keep: false, say: 'nothing' };
      if (kind === KINDS.chunk) onChunk(got.push(id));
      return { keep: true, say: 'ok' };
    },
    answer: (filters, found) => {
      const isAboutChunks = filters.some(({ ids }) => ids !== undefined && ids.length > 1);
      return { events: isForgetful && isAboutChunks ? [] : found, end: 'eose' };
    },
    passesOn: true,
  });
  try {
    const args = ['publish-dataset', path, '--relay', relay.url, '--home', join(folder, 'home'), '--no-backup'];
    const first = startNmkt(args, { cwd: folder });
    onChunk = (count) => void (count === KILLED_AT && first.kill('SIGKILL'));
    expect((await finished(first)).signal).toBe('SIGKILL');
    onChunk = () => undefined;
    limit = Infinity;

    const second = await runNmkt([...args, '--json'], { cwd: folder });
    expect(second.status, second.stderr).toBe(0);
    const { chunks, stored } = JSON.parse(second.stdout) as { chunks: number; stored: unknown[] };
    expect(stored).toMatchObject([{ relay: relay.url, stored: chunks }]);
    expect(new Set(got).size).toBe(chunks);
    // What the relay answered last, the killed process had no time to note.
    expect(got.length - chunks).toBeLessThan(KILLED_AT);
    expect(chunks).toBeGreaterThan(KILLED_AT);

    const third = await runNmkt([...args, '--json'], { cwd: folder });
    expect(third.stdout).toBe(second.stdout);
    const sent = got.length;
    isForgetful = true;
    onChunk = () => (isForgetful = false);
    const fourth = await runNmkt([...args, '--json'], { cwd: folder });
    expect(fourth.stdout).toBe(second.stdout);
    expect(fourth.stderr).toContain('does not give some of them back: they are sent again');
    expect(got.length - sent).toBe(chunks);
  } finally {
    await relay.close();
  }
}, 60_000);
