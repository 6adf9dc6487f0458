import type { EventId } from '../hash.js';
import { foldAlliance, type FoldedAlliance } from '../market/alliance/fold.js';
import { paidMsat } from '../market/state.js';
import { parseJobEvent } from '../protocol/events.js';
import { auditAlliancePublic } from '../roles/alliance/audit-public.js';
import type { Finding } from '../roles/audit.js';
import { createBell } from '../roles/bell.js';
import { openBookOf, type JobBook } from '../roles/job-book.js';
import { table } from '../terminal/table.js';
import { verdictOf } from './audit-report.js';
import { requireAllAnswers, type AuditSource } from './audit-source.js';
import type { Context, Outcome } from './command.js';
import { decodeReceiptInvoice } from './find-job.js';
import { sats } from './status-tables.js';

/** `nmkt audit` of an alliance, whose models only its members can open. */

const CHECKS = [
  ...['signatures', 'chains', 'members', 'draws', 'lists', 'omissions'],
  ...['votes', 'settlements', 'receipts'],
] as const;
const WHY = 'only members of an alliance can open its proposals';

/** @throws NmktError `audit-failed` with the document, when an event does not follow */
export async function auditAlliance(
  { deps, progress }: Context,
  jobId: EventId,
  source: AuditSource,
): Promise<Outcome> {
  const { relays } = source;
  const reading = { parse: parseJobEvent, fold: foldAlliance };
  const book = await openBookOf(jobId, { relays, clock: deps.clock, bell: createBell(deps.clock), reading });
  try {
    const facts = { decode: decodeReceiptInvoice, nowSec: deps.clock.nowSec() };
    let found = auditAlliancePublic(book.state(), facts);
    if (found?.rule === 'missing') {
      await requireAllAnswers(book, relays.urls, found);
      found = auditAlliancePublic(book.state(), facts);
    }
    await source.keep([]);
    progress.done();
    const value = documentOf(found, book);
    return verdictOf(value, describe(value));
  } finally {
    book.close();
  }
}

function documentOf(found: Finding | null, book: JobBook<FoldedAlliance>) {
  const { jobId, phase, state, forks } = book.state();
  const author = found === null ? undefined : book.raw(found.event)?.pubkey;
  const rounds = state?.rounds ?? [];
  return {
    ...{ job: jobId, mode: 'alliance' as const, level: 'public' as const, why: found === null ? WHY : null },
    verdict: found === null ? ('PASS' as const) : ('FAIL' as const),
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    ...{ phase, reached: CHECKS, events: book.all().length, rounds: rounds.length },
    accepted: rounds.filter(({ tally }) => tally?.isAccepted === true).length,
    paidMsat: paidMsat({ rounds }),
    forks: forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    unreadable: book.unreadable().length,
  };
}

function describe(value: ReturnType<typeof documentOf>): string {
  const { phase, firstBad, why } = value;
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  return table([
    ['job', value.job],
    ['level', `public: ${why === null ? 'signed events alone are enough to see it' : `signed events alone; ${why}`}`],
    ['checked', value.reached.join(', ')],
    [
      'over',
      `${value.events} events, ${value.rounds} rounds, ${value.accepted} of them accepted, ${sats(value.paidMsat)} paid`,
    ],
    ...value.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ['verdict', `${value.verdict}${isWhole ? '' : ` so far: the alliance is ${phase}`}`],
    ...(firstBad === null
      ? []
      : [
          ['first bad', `${firstBad.event}${firstBad.author ? ` of ${firstBad.author}` : ''}`],
          ['', `${firstBad.rule}: ${firstBad.detail}`],
        ]),
  ]);
}
