import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { startRelay } from '../../src/relay/embedded.js';
import { startDelay, startLoss } from '../../test/support/faults/proxies.js';

/** A server of the bench, a process of its own: `relay DIR`, `http DIR`, `delay URL MS` or `loss URL SHARE`. Prints its URL. */
const [kind, place, figure] = process.argv.slice(2) as [string, string, string?];

async function start(): Promise<string> {
  if (kind === 'relay') return (await startRelay({ port: 0, dir: place })).url;
  if (kind === 'delay') return (await startDelay(place, Number(figure))).url;
  if (kind === 'loss') return (await startLoss(place, Number(figure))).url;
  return startHttp(join(place, 'body'));
}

/** Plain HTTP as a fair rival: PUT hashes and stores what comes, GET sends the file. */
async function startHttp(file: string): Promise<string> {
  const server = createServer((request, response) => {
    const serve = async (): Promise<void> => {
      if (request.method !== 'PUT') return pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), response);
      const hash = createHash('sha256');
      request.on('data', (bytes: Buffer) => hash.update(bytes));
      await pipeline(request, createWriteStream(file, { highWaterMark: 1 << 20, flush: true }));
      response.end(hash.digest('hex'));
    };
    void serve().catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/body`;
}

console.log(await start());
process.on('SIGINT', () => process.exit());
