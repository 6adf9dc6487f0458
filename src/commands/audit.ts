import { readFile, stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { JobState } from '../market/state.js';
import { parseSnapshot, type DatasetManifest } from '../protocol/dataset.js';
import type { Relays } from '../ports.js';
import { auditPublic, auditWithKeys, parseAuditKeys, type AuditKeys, type Finding } from '../roles/audit.js';
import { collectAuditKeys } from '../roles/collect.js';
import type { JobSecrets } from '../roles/customer-env.js';
import type { JobBook } from '../roles/job-book.js';
import { secretsFile } from '../roles/post.js';
import { report, type Audited } from './audit-report.js';
import { auditSource, type AuditSource } from './audit-source.js';
import type { CommandModule, Context } from './command.js';
import { decodeReceiptInvoice, findJob, readBook } from './find-job.js';

/** A job of 1,024 trainers and 1,000 rounds stays below. */
const MAX_KEYS_BYTES = 2 ** 29;

/** Reads only; the verdict depends on events and audit keys, never on whose key asks. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--keys <file>', 'audit-keys.json of the customer: also open models and updates')
      .option('--dump <file>', 'also write every event the audit used to a file: signed events, one per line, no keys')
      .option('--from-dump <file>', 'audit that file alone: no relay is asked')
      .addHelpText('before', EXAMPLES)
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = findJob(reference!);
    const file = options['keys'] as string | undefined;
    const given = file === undefined ? undefined : await readKeys(file, job);
    context.progress.start('reading the events of the job');
    const source = await auditSource(context, options);
    const { book } = await readBook(context, job, source);
    try {
      const audited = await audit(context, book, source, given);
      await source.keep(audited.state);
      context.progress.done();
      return report(audited, book);
    } finally {
      book.close();
    }
  },
};

const EXAMPLES = `$ nmkt audit JOB
$ nmkt audit JOB --keys model/audit-keys.json --json
$ nmkt audit JOB --keys model/audit-keys.json --dump job.ndjson
$ nmkt audit JOB --keys model/audit-keys.json --from-dump job.ndjson
`;

const HELP = `
Exit status 0 is PASS, 4 is FAIL; with --json one document either way:
  job       its id; phase: how far the job has come
  level     public: signatures, award, lists, acceptance, settlements and receipts recomputed from signed events alone;
            keys: models and updates opened as well, hashes checked, every aggregate recomputed to the byte
  verdict   PASS or FAIL
  firstBad  null, or {event, author, rule, detail}: the first event that does not follow from the others
  reached   the checks that ran; events, rounds, paidMsat: what they ran over
  forks     [{author, seq, events}] of bidders and trainers: they count as absent from there on, the job holds
  unreadable  events that break the protocol and count for nothing
The key level needs --keys, or the home that posted the job.

A dump holds the events of the job, the snapshot of its dataset and, at the key level, the chunks of all models and updates.
--from-dump checks id and signature of every line and gives the same document; its key level needs --keys. A dump may end
earlier than the job did, but what it holds cannot be forged.`;

async function audit(
  context: Context,
  book: JobBook,
  source: AuditSource,
  given: AuditKeys | undefined,
): Promise<Audited> {
  const { deps, progress, signal } = context;
  const { relays } = source;
  const publicly = (): Finding | null => auditPublic(book.state(), decodeReceiptInvoice, deps.clock.nowSec());
  let found = publicly();
  if (found?.rule === 'missing') {
    await requireAllAnswers(book, relays, found);
    found = publicly();
  }
  const state = book.state();
  const seen = { state, events: book.all().length, unreadable: book.unreadable().length };
  if (found !== null) return { ...seen, level: 'public', found };
  const keys = given ?? (source.isOffline ? undefined : await keysOfHome(context, state));
  if (keys === undefined) return { ...seen, level: 'public', found };
  source.requireChunks(state);
  const manifest = await fetchManifest(relays, state);
  if ('rule' in manifest) return { ...seen, level: 'keys', found: manifest };
  found = await auditWithKeys(state, {
    relays,
    keys,
    manifest,
    signal,
    onProgress: (text) => progress.update(text),
  });
  if (signal.aborted)
    throw new NmktError('interrupted', 'stopped before the verdict', {
      expected: 'time to open every update',
      got: 'a signal',
      remedy: 'run the same command again',
    });
  if (found?.rule === 'blob') await requireAllAnswers(book, relays, found);
  return { ...seen, level: 'keys', found };
}

/** What is missing while a relay is silent may lie there: no verdict. @throws NmktError `relay-unreachable` */
async function requireAllAnswers(book: JobBook, relays: Relays, found: Finding): Promise<void> {
  const answered = await book.refresh();
  const silent = relays.urls.filter((url) => !answered.includes(url));
  if (silent.length === 0) return;
  throw new NmktError('relay-unreachable', 'a part of the job is missing, and not every relay answered', {
    expected: `answers from all of ${relays.urls.join(', ')}`,
    got: `silence from ${silent.join(', ')}; ${found.detail} (event ${found.event})`,
    remedy: 'run it again later, or leave that relay out with --relay',
  });
}

/** @throws NmktError `bad-usage` when the file is not there or holds something else */
async function readKeys(file: string, job: EventId): Promise<AuditKeys> {
  const fail = (got: string, cause?: unknown): never => {
    throw new NmktError('bad-usage', `${file} does not hold the audit keys of this job`, {
      expected: `the audit-keys.json that collect-model wrote for job ${job}`,
      got,
      remedy: 'ask the customer for the file, or leave out --keys',
      cause,
    });
  };
  try {
    const { size } = await stat(file);
    if (size > MAX_KEYS_BYTES) return fail(`${size} bytes`);
    const keys = parseAuditKeys(await readFile(file, 'utf8'));
    return keys.job === job ? keys : fail(`the keys of job ${keys.job}`);
  } catch (error) {
    if (error instanceof NmktError) throw error;
    return fail((error as NodeJS.ErrnoException).code ?? 'something else', error);
  }
}

/** The customer's own home can make the keys it would give to an auditor. */
async function keysOfHome({ deps }: Context, state: JobState): Promise<AuditKeys | undefined> {
  const secrets = (await deps.home().readJson(secretsFile(state.jobId))) as JobSecrets | undefined;
  const signer = await deps.signer({ create: false });
  if (secrets === undefined || signer?.pubkey !== state.job!.author) return undefined;
  return collectAuditKeys({ secrets, signer }, state);
}

/** The snapshot that the job pins, by its id. @throws NmktError `job-unknown` when no relay has it */
async function fetchManifest(relays: Relays, state: JobState): Promise<DatasetManifest | Finding> {
  const { dataset, trainers } = state.job!.content;
  const { events } = await relays.fetch([{ ids: [dataset] }]);
  const event = events.find(({ id }) => id === dataset);
  if (event === undefined)
    throw new NmktError('job-unknown', 'no relay that answered has the dataset of this job', {
      expected: `snapshot ${dataset}`,
      got: `nothing from ${relays.urls.join(', ')}`,
      remedy: 'name the relay of the dataset with --relay URL, or audit without keys',
    });
  const bad = (detail: string): Finding => ({ event: dataset, rule: 'dataset', detail });
  try {
    const { author, manifest } = parseSnapshot(event);
    if (author !== state.job!.author) return bad(`it is a snapshot of ${author}, not of the customer`);
    const { length } = manifest.shards;
    return length >= trainers ? manifest : bad(`it has ${length} shards for ${trainers} trainers`);
  } catch (error) {
    return bad((error as Error).message);
  }
}
