import { Buffer } from 'node:buffer';
import { downloadByFile } from '../../dist/blob/transfer.js';
import { openHome } from '../../dist/config/home.js';
import { sha256Hex } from '../../dist/hash.js';
import { connectRelays } from '../../dist/relay/pool.js';

/** A trainer's download in a process of its own: a line for each chunk with the memory of the process, then the hash. */
const { url, pointer, key, context, part, home } = JSON.parse(process.argv[2]);
const hex = (text) => Buffer.from(text, 'hex');
const relays = connectRelays([url], { network: 'sandbox' });
const file = await openHome(home).editFile('jobs/shard-0.sealed');
const bytes = await downloadByFile(
  relays,
  pointer,
  {
    ...{ key: hex(key), context: hex(context), part, maxBytes: 2 ** 30 },
    onProgress: (done) => process.stdout.write(`${done} ${process.memoryUsage.rss()}\n`),
  },
  file,
);
process.stdout.write(`${sha256Hex(bytes)} ${process.resourceUsage().maxRSS * 1024}\n`);
await file.close();
await relays.close();
