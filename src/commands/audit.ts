import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { Rung } from '../learning/types.js';
import { rungOf } from '../market/auction.js';
import type { JobState } from '../market/state.js';
import { tagValue } from '../protocol/envelope.js';
import { KINDS } from '../protocol/kinds.js';
import { AUDIT_LEVELS, auditJob, type AuditKeys, type AuditLevel } from '../roles/audit.js';
import type { JobBook } from '../roles/job-book.js';
import { auditAlliance } from './audit-alliance.js';
import { auditArena } from './audit-arena.js';
import { federatedKeys, keysOfHome, readKeys, type GivenKeys } from './audit-keys.js';
import { report, type Audited } from './audit-report.js';
import { auditSource, requireAllAnswers, snapshotsOf, type AuditSource, type NeededChunks } from './audit-source.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { decodeReceiptInvoice, findJob, readBook } from './find-job.js';

/** Reads only; the verdict depends on events and keys, never on whose key asks. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--keys <file>', 'audit-keys.json or audit-data.json of the customer')
      .option('--level <level>', 'how far up to go: public, keys or data (default: as far as the keys allow)')
      .option('--dump <file>', 'also write every event the audit used to a file: signed events, one per line, no keys')
      .option('--from-dump <file>', 'audit that file alone: no relay is asked')
      .addHelpText('before', EXAMPLES)
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = findJob(reference!);
    const upTo = parseLevel(options['level']);
    const file = options['keys'] as string | undefined;
    const given = file === undefined ? undefined : await readKeys(file, job);
    context.progress.start('reading the events of the job');
    const source = await auditSource(context, options);
    const mode = await modeOf(source, job);
    if (mode === 'arena') return auditArena(context, job, source, given, upTo);
    if (mode === 'alliance') return auditAlliance(context, job, source, given, upTo);
    return auditFederated(context, job, source, given, upTo);
  },
};

/** Undefined: a federated job, or none at hand. */
async function modeOf({ relays }: AuditSource, id: EventId): Promise<string | undefined> {
  const { events } = await relays.fetch([{ ids: [id] }]);
  const job = events.find((event) => event.id === id && event.kind === KINDS.job);
  return job && tagValue(job, 'phase');
}

async function auditFederated(
  context: Context,
  job: EventId,
  source: AuditSource,
  given: GivenKeys | undefined,
  upTo: AuditLevel,
): Promise<Outcome> {
  const { book } = await readBook(context, job, source);
  try {
    const keys = given === undefined ? undefined : federatedKeys(given);
    const audited = await audit(context, book, source, keys, upTo);
    await source.keep(snapshotsOf(audited.state.job!));
    context.progress.done();
    return report(audited, book);
  } finally {
    book.close();
  }
}

const EXAMPLES = `$ nmkt audit JOB
$ nmkt audit JOB --keys model/audit-keys.json --json
$ nmkt audit JOB --keys model/audit-keys.json --dump job.ndjson
$ nmkt audit JOB --keys model/audit-keys.json --from-dump job.ndjson
`;

const HELP = `
Exit status 0 is PASS, 4 is FAIL; with --json one document either way:
  job       its id; phase: how far the job has come
  level     public: signatures, pins, award, lists, deadlines, acceptance, settlements and receipts recomputed from signed
            events alone;
            keys: models and updates opened as well, hashes checked, every aggregate recomputed to the byte;
            data: the data opened, every score and accuracy measured again: equal to the ppm on the same engine, within
            a thousandth and 100 ppm on another; on the engine that the job names, what was repeated of trainings is repeated
            again to the bit
  why       null, or why no higher level was reached
  verdict   PASS or FAIL
  firstBad  null, or {event, author, rule, detail}: the first event that does not follow from the others
  reached   the checks that ran; events, rounds, paidMsat: what they ran over
  engine    null, or what the scores were measured on again
  repeated  null, or {segments, why}: segments of training that were repeated again, or why not all were
  roots     null, or {rounds, why}: root updates of rule fltrust that were trained again, or why not all were
  standing  null, or {jobs, why}: earlier jobs from which attempts and successes of bidders were counted again, or why not all
  validators  null, or [{pubkey, engine, seat, rounds, absent, apart, paidMsat, owedMsat, contradicted}]: rounds without its scores, rounds
            in which it said what the others did not, and at the data level [{round, event, detail}] of scores that are not
            what was measured again; fallbacks: rounds that the customer measured, because too few validators did
  holders   {shards: [{shard, trainers}], validators}: who was ever given the key to a shard; validators got those to all
  awardedBy rules, or customer where the job lets it choose the winners itself; null before the award
  forks     [{author, seq, events}] of bidders and trainers: they count as absent from there on, the job holds
  disputes  [{event, trainer, shard, rule, detail}]: a grant called bad, a trainer said never to have answered, a claim
            said to seal no invoice, a complaint: no event decides who is right; segment: a trainer says that it did train what the
            customer calls forged, and what validators that were drawn to repeat it say (the audit fails where they say so, too)
  stakes    null, or of a job that asks for stake what nmkt status shows: stakes that count, what was slashed, and the pot; award, seats,
            slashes and shares of it are recomputed
  unreadable  events that break the protocol and count for nothing
Of an arena {job, mode: "arena", level, why, verdict, firstBad, phase, reached, events, stages, paidMsat, engine, contradicted, notices, forks,
unreadable}; public: submissions, aliases, draws, scores, ranks, plans and receipts recomputed; keys: every model opened, hashed and
compared with the table of names; data: the sets opened, every score measured again
  contradicted  null below the data level, or [{stage, validator, trainer, event, detail}] of scores that are not what was measured again; the
            audit fails where most of a model's validators said so
  notices   [{stage, rule, trainer, submission, detail}] of what no event decides: unopened (the customer says that a model could not be
            opened; detail says whether it opens now), contradicted (most validators opened another model than it names)
Of an alliance {job, mode: "alliance", level, why, verdict, firstBad, phase, reached, events, rounds, accepted (rounds whose aggregate became
the model), paidMsat, forks, unreadable}; public: members, draws, lists, votes, plans and receipts recomputed; keys, in the home of its
customer or of a member: proposals opened, every accepted aggregate computed again to the byte.
The key level needs --keys, or the home that posted the job. The data level needs that home, or the audit-data.json that
collect-model --audit-data writes: it opens the data itself.

A dump holds the events of the job, its snapshots and, at the level it was made at, the chunks of all models and updates,
and of the data. --from-dump checks id and signature of every line and gives the same document; above the public level it
needs --keys. A dump may end earlier than the job did, but what it holds cannot be forged.`;

/** @throws NmktError `bad-usage` */
function parseLevel(value: unknown): AuditLevel {
  const found = value === undefined ? 'data' : AUDIT_LEVELS.find((level) => level === value);
  if (found !== undefined) return found;
  throw new NmktError('bad-usage', '--level names no level', {
    expected: AUDIT_LEVELS.join(', '),
    got: String(value),
    remedy: '--level keys',
  });
}

function chunksOf(state: JobState, { data }: AuditKeys): NeededChunks {
  const isChunked = ({ open, close }: JobState['rounds'][number]) =>
    open.content.base.chunks > 0 || (close?.content.root?.chunks ?? 0) > 0;
  return { job: state.jobId, models: state.rounds.some(isChunked), locator: data?.train.locator };
}

async function audit(
  context: Context,
  book: JobBook,
  source: AuditSource,
  given: AuditKeys | undefined,
  upTo: AuditLevel,
): Promise<Audited> {
  const { deps, progress, signal } = context;
  const { relays } = source;
  const run = () =>
    auditJob({
      ...{ book, relays, upTo, signal },
      decode: decodeReceiptInvoice,
      nowSec: deps.clock.nowSec(),
      keys: async (state) => {
        const keys = given ?? (source.isOffline ? undefined : await keysOfHome(context, state));
        if (keys !== undefined) await source.requireChunks(chunksOf(state, keys), upTo);
        return keys;
      },
      engine: async (like) => deps.engine(like === null ? {} : { accepted: [rungOf(like)] satisfies Rung[] }),
      onProgress: (text) => progress.update(text),
    });
  let result = await run();
  if (result.found?.rule === 'missing' || result.found?.rule === 'blob') {
    await requireAllAnswers(book, relays.urls, result.found);
    if (result.found.rule === 'missing') result = await run();
  }
  if (signal.aborted)
    throw new NmktError('interrupted', 'stopped before the verdict', {
      expected: 'time to open every update',
      got: 'a signal',
      remedy: 'run the same command again',
    });
  const { length: events } = book.all();
  return { ...result, state: book.state(), events, unreadable: book.unreadable().length };
}
