import { readFile, stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { paidMsat, type JobState } from '../market/state.js';
import { parseSnapshot, type DatasetManifest } from '../protocol/dataset.js';
import type { Relays } from '../ports.js';
import { auditPublic, auditWithKeys, parseAuditKeys, type AuditKeys, type Finding } from '../roles/audit.js';
import { collectAuditKeys } from '../roles/collect.js';
import type { JobSecrets } from '../roles/customer-env.js';
import type { JobBook } from '../roles/job-book.js';
import { secretsFile } from '../roles/post.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { decodeReceiptInvoice, findJob, readBook } from './find-job.js';

/** A job of 1,024 trainers and 1,000 rounds stays below. */
const MAX_KEYS_BYTES = 2 ** 29;

const CHECKS = {
  public: ['signatures', 'chains', 'award', 'lists', 'omissions', 'acceptance', 'settlements', 'receipts'],
  keys: ['seed', 'bases', 'updates', 'aggregates', 'model'],
} as const;

/** Reads only; the verdict depends on events and audit keys, never on whose key asks. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--keys <file>', 'audit-keys.json of the customer: also open models and updates')
      .addHelpText('before', '$ nmkt audit JOB\n$ nmkt audit JOB --keys model/audit-keys.json --json\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = findJob(reference!);
    const file = options['keys'] as string | undefined;
    const given = file === undefined ? undefined : await readKeys(file, job);
    context.progress.start('reading the events of the job');
    const { book, relays } = await readBook(context, job);
    try {
      const audited = await audit(context, book, relays, given);
      context.progress.done();
      return report(audited, book);
    } finally {
      book.close();
    }
  },
};

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
The key level needs --keys, or the home that posted the job.`;

interface Audited {
  readonly state: JobState;
  readonly level: keyof typeof CHECKS;
  readonly found: Finding | null;
}

async function audit(context: Context, book: JobBook, relays: Relays, given: AuditKeys | undefined): Promise<Audited> {
  const { deps, progress, signal } = context;
  const publicly = (): Finding | null => auditPublic(book.state(), decodeReceiptInvoice, deps.clock.nowSec());
  let found = publicly();
  if (found?.rule === 'missing') {
    await requireAllAnswers(book, relays, found);
    found = publicly();
  }
  const state = book.state();
  if (found !== null) return { state, level: 'public', found };
  const keys = given ?? (await keysOfHome(context, state));
  if (keys === undefined) return { state, level: 'public', found };
  const manifest = await fetchManifest(relays, state);
  if ('rule' in manifest) return { state, level: 'keys', found: manifest };
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
  return { state, level: 'keys', found };
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

function report(audited: Audited, book: JobBook): Outcome {
  const value = documentOf(audited, book);
  const text = describe(value);
  const { job, firstBad } = value;
  if (firstBad === null) return { value, text, next: `nmkt status ${job}` };
  throw new NmktError('audit-failed', `event ${firstBad.event} does not follow: ${firstBad.rule}`, {
    expected: 'every event to follow from the others',
    got: firstBad.detail,
    remedy: `nmkt status ${job}`,
    value: { value, text },
  });
}

function documentOf({ state, level, found }: Audited, book: JobBook) {
  const author: Pubkey | undefined = found === null ? undefined : book.raw(found.event)?.pubkey;
  return {
    job: state.jobId,
    level,
    verdict: found === null ? 'PASS' : 'FAIL',
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    phase: state.phase,
    reached: level === 'keys' ? [...CHECKS.public, ...CHECKS.keys] : CHECKS.public,
    events: book.all().length,
    rounds: state.rounds.length,
    paidMsat: paidMsat(state),
    forks: state.forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    unreadable: book.unreadable().length,
  };
}

function describe(value: ReturnType<typeof documentOf>): string {
  const { level, phase, firstBad } = value;
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  const why =
    level === 'keys'
      ? 'models and updates opened; no shard key, so training itself is not repeated'
      : firstBad === null
        ? 'signed events alone; no audit keys, so models and updates stay closed (--keys FILE)'
        : 'signed events alone are enough to see it';
  return table([
    ['job', value.job],
    ['level', `${level}: ${why}`],
    ['checked', value.reached.join(', ')],
    ['over', `${value.events} events, ${value.rounds} rounds, ${Number(value.paidMsat) / 1000} sat paid`],
    ...value.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ['verdict', `${value.verdict}${isWhole ? '' : ` so far: the job is ${phase}`}`],
    ...(firstBad === null
      ? []
      : [
          ['first bad', `${firstBad.event}${firstBad.author ? ` of ${firstBad.author}` : ''}`],
          ['', `${firstBad.rule}: ${firstBad.detail}`],
        ]),
  ]);
}
