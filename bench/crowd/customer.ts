import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { UploadRecord } from '../../src/blob/upload-log.js';
import { cutData } from '../../src/commands/job-data.js';
import { sha256, sha256Hex, type Pubkey } from '../../src/hash.js';
import type { Engine, NostrEvent, Relays } from '../../src/ports.js';
import { JOB } from '../../src/protocol/job.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { wrapRumor } from '../../src/relay/gift-wrap.js';
import { connectRelays } from '../../src/relay/pool.js';
import { allowedRelayUrl } from '../../src/relay/relay-url.js';
import { createBell } from '../../src/roles/bell.js';
import { leadJob } from '../../src/roles/customer.js';
import { customerData } from '../../src/roles/customer-data.js';
import { hasSpotChecks, parseJobFile } from '../../src/roles/job-file.js';
import { openBook, type SignedRecord } from '../../src/roles/job-book.js';
import { jobTerms } from '../../src/roles/job-terms.js';
import { postJob } from '../../src/roles/post.js';
import { publishDataset } from '../../src/roles/publish.js';
import { memoryJournal } from '../../src/simulate/memory-journal.js';
import { stubEngine } from '../../src/simulate/stub-engine.js';
import { place } from './place.js';

/** The customer, in a process of its own that is measured. Arguments: relay, seats, rounds. */
const [url, seats, rounds] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])];
const own = place('customer', url, new AbortController().signal);
const stub = stubEngine();
/** Real engines work in threads of their own; this one leaves the loop alone between two evaluations. */
const engine: Engine = {
  ...stub,
  async evaluate(...call) {
    await new Promise((resolve) => setImmediate(resolve));
    return stub.evaluate(...call);
  },
};
const ports = {
  ...own,
  journal: async () => memoryJournal<UploadRecord>(),
  reader: async () => connectRelays([url]),
};

/** When the last reveal of each round came, in ms of this process. */
const lastReveal = new Map<string, number>();
const watched: Relays = {
  urls: own.relays.urls,
  publish: (...call) => own.relays.publish(...call),
  fetch: (...call) => own.relays.fetch(...call),
  subscribe: (filters, onEvent) =>
    own.relays.subscribe(filters, (event) => {
      const tag = (name: string) => event.tags.find(([key]) => key === name)?.[1] ?? '';
      if (event.kind === KINDS.submission && tag('phase') === 'reveal') lastReveal.set(tag('round'), performance.now());
      onEvent(event);
    }),
  close: () => own.relays.close(),
};

const { schema, split } = await cutData({ file: null, partition: { name: 'iid' } }, seats, sha256('split'), true);
const { record } = await publishDataset(
  { name: 'crowd', schema, ...split, request: sha256Hex('crowd'), expirationSec: own.clock.nowSec() + 86_400 },
  ports,
);
const file = parseJobFile(
  {
    ...{
      model: 'logreg',
      optimizer: 'sgd',
      learningRate: 0.02,
      acceptedEngines: 'cpu',
      rail: 'none',
      rounds,
      trainers: seats,
    },
    ...{ bidWindow: '10m', readyTimeout: '10m', roundTimeout: '30m' },
  },
  'the bench',
);
const wanted = jobTerms(file, record, 'sandbox', [url], own.clock.nowSec(), hasSpotChecks(file) ? engine.id : null);
const { secrets } = await postJob(wanted, record, ports, false);
const { id, content: terms } = JOB.parse(secrets.event);
process.send!({ job: secrets.event, snapshot: secrets.train.event });

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
let rss = 0;
const sampling = setInterval(() => (rss = Math.max(rss, process.memoryUsage.rss())), 250);
const bell = createBell(own.clock);
const book = await openBook(id, {
  ...ports,
  relays: watched,
  bell,
  journal: memoryJournal<SignedRecord>([], (value) => value),
});
const wrap = async (content: string, to: string): Promise<NostrEvent> => {
  await new Promise((resolve) => setImmediate(resolve));
  const rumor = { kind: KINDS.grant, content, tags: [] };
  return wrapRumor(rumor, ports.signer, to as Pubkey, ports.random, own.clock.nowSec());
};
const closes: number[] = [];
const began = performance.now();
const state = await leadJob(
  {
    ...ports,
    ...{ relays: watched, book, bell, secrets },
    data: customerData(ports.relays, secrets, own.signal),
    files: {
      write: (name, bytes) => own.files.write(`jobs/${id}/${name}`, bytes),
      read: (name) => own.files.read(`jobs/${id}/${name}`),
    },
    allowedRelay: (other) => allowedRelayUrl(other, 'sandbox', [url]),
    engine: async () => engine,
    payer: null,
    onStep(step, now) {
      const round = now.rounds.at(-1);
      if (step === 'measure' && round?.close != null)
        closes.push((performance.now() - lastReveal.get(String(round.round))!) / 1000);
    },
  },
  wrap,
);
clearInterval(sampling);
delay.disable();
process.send!({
  accepted: state.rounds.map(({ close }) => close?.content.accepted.length ?? 0),
  ...{ closes, seconds: (performance.now() - began) / 1000 },
  ...{ p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6, rssMb: rss / 2 ** 20 },
  ...{ events: book.all().length, rounds: terms.rounds },
});
process.exit();
