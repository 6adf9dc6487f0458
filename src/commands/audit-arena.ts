import type { EventId } from '../hash.js';
import { phaseText } from '../market/arena/describe.js';
import { rungOf } from '../market/auction.js';
import { auditArenaJob, type ArenaAudit } from '../roles/arena/audit.js';
import type { ArenaAuditKeys } from '../roles/arena/audit-keys.js';
import type { AuditLevel } from '../roles/audit.js';
import { table } from '../terminal/table.js';
import { arenaKeys, arenaKeysOfHome, type GivenKeys } from './audit-keys.js';
import { verdictOf } from './audit-report.js';
import { requireAllAnswers, snapshotsOf, type AuditSource } from './audit-source.js';
import type { Context, Outcome } from './command.js';
import { readArenaBook, type ArenaBook } from './find-arena.js';
import { decodeReceiptInvoice } from './find-job.js';
import { sats } from './status-tables.js';

/** `nmkt audit` of an arena. */

const CHECKS = {
  public: [
    ...['signatures', 'chains', 'pins', 'submissions', 'omissions', 'aliases', 'draws', 'scores'],
    ...['ranking', 'settlements', 'deadlines', 'receipts'],
  ],
  keys: ['models'],
  data: ['sets', 'measurements'],
} as const;

const REACHED = {
  public: CHECKS.public,
  keys: [...CHECKS.public, ...CHECKS.keys],
  data: [...CHECKS.public, ...CHECKS.keys, ...CHECKS.data],
} as const;

/** @throws NmktError `audit-failed` with the document, when an event does not follow */
export async function auditArena(
  context: Context,
  jobId: EventId,
  source: AuditSource,
  given: GivenKeys | undefined,
  upTo: AuditLevel,
): Promise<Outcome> {
  const book = await readArenaBook(context, jobId, source.relays);
  try {
    const audited = await audit(context, book, source, given && arenaKeys(given), upTo);
    const { job } = book.state();
    await source.keep(job === null ? [] : snapshotsOf(job));
    context.progress.done();
    const value = documentOf(audited, book);
    return verdictOf(value, describe(value, book));
  } finally {
    book.close();
  }
}

async function audit(
  context: Context,
  book: ArenaBook,
  source: AuditSource,
  given: ArenaAuditKeys | undefined,
  upTo: AuditLevel,
): Promise<ArenaAudit> {
  const { deps, progress, signal } = context;
  const { relays } = source;
  const run = () =>
    auditArenaJob({
      ...{ book, relays, upTo, signal, decode: decodeReceiptInvoice, nowSec: deps.clock.nowSec() },
      keys: async (state) => {
        const keys = given ?? (source.isOffline ? undefined : await arenaKeysOfHome(context, state));
        const job = state.jobId;
        if (keys !== undefined)
          await source.requireChunks({ job, models: keys.models.length > 0, locator: keys.data?.a.locator }, upTo);
        return keys;
      },
      engine: async (like) => deps.engine(like === null ? {} : { accepted: [rungOf(like)] }),
      onProgress: (text) => progress.update(text),
    });
  const first = await run();
  if (first.found?.rule !== 'missing' && first.found?.rule !== 'blob') return first;
  await requireAllAnswers(book, relays.urls, first.found);
  return first.found.rule === 'missing' ? run() : first;
}

function documentOf({ level, why, found, engine, contradicted, notices }: ArenaAudit, book: ArenaBook) {
  const folded = book.state();
  const { jobId, phase, state, forks } = folded;
  const author = found === null ? undefined : book.raw(found.event)?.pubkey;
  const paid = (state?.stages ?? []).flatMap(({ payouts }) => payouts.filter(({ receipt }) => receipt !== null));
  return {
    ...{ job: jobId, mode: 'arena' as const, level, why, verdict: found === null ? 'PASS' : 'FAIL' },
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    ...{ phase, reached: REACHED[level], events: book.all().length, stages: state?.stages.length ?? 0 },
    paidMsat: paid.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    ...{ engine, contradicted, notices },
    forks: forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    unreadable: book.unreadable().length,
  };
}

function describe(value: ReturnType<typeof documentOf>, book: ArenaBook): string {
  const { firstBad, phase } = value;
  const { state } = book.state();
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  const soFar = isWhole || state === null ? '' : ` so far: ${phaseText(state, phase)}`;
  return table([
    ['job', value.job],
    ['level', `${value.level}: ${describeLevel(value)}`],
    ['checked', value.reached.join(', ')],
    ['over', `${value.events} events, ${value.stages} stages, ${sats(value.paidMsat)} paid`],
    ...value.notices.map(({ stage, rule, trainer, submission, detail }) => [
      'notice',
      `stage ${stage}, ${trainer}: ${rule} (${detail}); event ${submission}`,
    ]),
    ...(value.contradicted ?? []).map(({ stage, validator, trainer, detail, event }) => [
      'contradicted',
      `stage ${stage}, ${validator} of the model of ${trainer}: ${detail}; event ${event}`,
    ]),
    ...value.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ['verdict', `${value.verdict}${soFar}`],
    ...(firstBad === null
      ? []
      : [
          ['first bad', `${firstBad.event}${firstBad.author ? ` of ${firstBad.author}` : ''}`],
          ['', `${firstBad.rule}: ${firstBad.detail}`],
        ]),
  ]);
}

function describeLevel({ level, why, firstBad, engine }: ReturnType<typeof documentOf>): string {
  const opened = {
    public: firstBad === null ? 'signed events alone' : 'signed events alone are enough to see it',
    keys: 'models opened',
    data: `models and sets opened, scores measured again on ${engine ?? 'no engine'}`,
  }[level];
  return why === null ? opened : `${opened}; ${why}`;
}
