import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { startRelay } from '../../src/relay/embedded.js';

/** A server of the bench, a process of its own: `relay DIR`, `http DIR`, `delay URL MS` or `loss URL SHARE`. Prints its URL. */
const [kind, place, figure] = process.argv.slice(2) as [string, string, string?];

async function start(): Promise<string> {
  if (kind === 'relay') return (await startRelay({ port: 0, dir: place })).url;
  if (kind === 'http') return startHttp(join(place, 'body'));
  const { startDelay, startLoss } = await import('../../test/support/faults/proxies.js');
  return (await (kind === 'delay' ? startDelay : startLoss)(place, Number(figure))).url;
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
