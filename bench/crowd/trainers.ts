import { JOB } from '../../src/protocol/job.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import type { NostrEvent } from '../../src/ports.js';
import { unwrapRumor } from '../../src/relay/gift-wrap.js';
import { createBell } from '../../src/roles/bell.js';
import { chunkFiles } from '../../src/roles/home-files.js';
import { openInbox } from '../../src/roles/inbox.js';
import { openBook, type SignedRecord } from '../../src/roles/job-book.js';
import { serveJob } from '../../src/roles/trainer.js';
import { memoryJournal } from '../../src/simulate/memory-journal.js';
import { sharedReading } from '../../src/simulate/shared-reading.js';
import { stubEngine } from '../../src/simulate/stub-engine.js';
import { openFeed } from './feed.js';
import { place, SILENT } from './place.js';

/** Many trainers in one process, each with its own key, connection, book and loop. Arguments: relay, how many. */
const TRAINERS_OF_A_FEED = 25;
const [url, count] = [process.argv[2]!, Number(process.argv[3])];
const stop = new AbortController();
const verified = new Map<string, string>();
const reading = sharedReading();
const engine = stubEngine();

process.on('message', (posted: { job: NostrEvent; snapshot: NostrEvent } | 'stop') => {
  if (posted === 'stop') return void stop.abort();
  const job = JOB.parse(posted.job);
  const snapshot = parseSnapshot(posted.snapshot);
  const feeds = Array.from({ length: Math.ceil(count / TRAINERS_OF_A_FEED) }, (_, i) =>
    openFeed(job.id, place(`feed ${i}`, url, stop.signal, verified).relays),
  );
  const serving = Array.from({ length: count }, async (_, i) => {
    const { files, ...ports } = place(`trainer ${i}`, url, stop.signal, verified);
    const feed = await feeds[i % feeds.length]!;
    const bell = createBell(ports.clock);
    const inbox = openInbox(ports.relays, ports.signer.pubkey, ports.clock, (wrap) => unwrapRumor(wrap, ports.signer));
    inbox.watch(bell);
    const journal = memoryJournal<SignedRecord>([], (value) => value);
    const book = await openBook(job.id, { ...ports, relays: feed.for(ports.relays), bell, journal, reading });
    const own = (name: string): string => `jobs/${job.id}/${name}`;
    const end = await serveJob({
      ...ports,
      ...{ book, bell, inbox, snapshot },
      files: { write: (name, bytes) => files.write(own(name), bytes), read: (name) => files.read(own(name)) },
      chunks: chunkFiles(files, `jobs/${job.id}`),
      terms: { priceMsat: 0n, shards: 1, maxExposureMsat: 0n, maxBytes: 2 ** 40 },
      ...{ wallet: null, network: 'sandbox', paymentHashOf: () => '', engine: async () => engine },
      shard: { opened: null },
      progress: SILENT,
      emit: () => undefined,
    });
    inbox.close();
    book.close();
    await ports.relays.close();
    return end.end;
  });
  void Promise.allSettled(serving).then((ends) => {
    const failed = ends.find((end) => end.status === 'rejected');
    process.send!({
      done: ends.filter((end) => end.status === 'fulfilled' && end.value === 'done').length,
      failed: failed && String(failed.reason),
    });
    process.exit();
  });
});
process.send!('ready');
