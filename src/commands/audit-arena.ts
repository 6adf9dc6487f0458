import type { EventId } from '../hash.js';
import { phaseText } from '../market/arena/describe.js';
import { auditArenaJob, type ArenaAudit } from '../roles/arena/audit.js';
import { arenaNotices } from '../roles/arena/audit-public.js';
import type { AuditLevel } from '../roles/audit.js';
import { table } from '../terminal/table.js';
import { verdictOf } from './audit-report.js';
import { requireAllAnswers, snapshotsOf, type AuditSource } from './audit-source.js';
import type { Context, Outcome } from './command.js';
import { readArenaBook, type ArenaBook } from './find-arena.js';
import { decodeReceiptInvoice } from './find-job.js';
import { sats } from './status-tables.js';

/** `nmkt audit` of an arena. */

const CHECKS = [
  ...['signatures', 'chains', 'pins', 'submissions', 'omissions', 'aliases', 'draws', 'scores'],
  ...['ranking', 'settlements', 'deadlines', 'receipts'],
];

/** @throws NmktError `audit-failed` with the document, when an event does not follow */
export async function auditArena(
  context: Context,
  jobId: EventId,
  source: AuditSource,
  upTo: AuditLevel,
): Promise<Outcome> {
  const book = await readArenaBook(context, jobId, source.relays);
  try {
    const audited = await audit(context, book, source, upTo);
    const { job } = book.state();
    await source.keep(job === null ? [] : snapshotsOf(job));
    context.progress.done();
    const value = documentOf(audited, book);
    return verdictOf(value, describe(value, book));
  } finally {
    book.close();
  }
}

async function audit(context: Context, book: ArenaBook, { relays }: AuditSource, upTo: AuditLevel) {
  const nowSec = context.deps.clock.nowSec();
  const run = () => auditArenaJob({ book, relays, decode: decodeReceiptInvoice, nowSec, upTo });
  const first = await run();
  if (first.found?.rule !== 'missing') return first;
  await requireAllAnswers(book, relays.urls, first.found);
  return run();
}

function documentOf({ level, why, found }: ArenaAudit, book: ArenaBook) {
  const folded = book.state();
  const { jobId, phase, state, forks } = folded;
  const author = found === null ? undefined : book.raw(found.event)?.pubkey;
  const paid = (state?.stages ?? []).flatMap(({ payouts }) => payouts.filter(({ receipt }) => receipt !== null));
  return {
    ...{ job: jobId, mode: 'arena' as const, level, why, verdict: found === null ? 'PASS' : 'FAIL' },
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    ...{ phase, reached: CHECKS, events: book.all().length, stages: state?.stages.length ?? 0 },
    paidMsat: paid.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    notices: arenaNotices(folded),
    forks: forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    unreadable: book.unreadable().length,
  };
}

function describe(value: ReturnType<typeof documentOf>, book: ArenaBook): string {
  const { firstBad, phase, why } = value;
  const { state } = book.state();
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  const soFar = isWhole || state === null ? '' : ` so far: ${phaseText(state, phase)}`;
  return table([
    ['job', value.job],
    [
      'level',
      `${value.level}: ${why === null ? 'signed events alone are enough to see it' : `signed events alone; ${why}`}`,
    ],
    ['checked', value.reached.join(', ')],
    ['over', `${value.events} events, ${value.stages} stages, ${sats(value.paidMsat)} paid`],
    ...value.notices.map(({ stage, rule, trainer, submission, detail }) => [
      'notice',
      `stage ${stage}, ${trainer}: ${rule} (${detail}); event ${submission}`,
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
