import { fromHex, type EventId } from '../hash.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import { paidMsat } from '../market/state.js';
import { auditAllianceModels } from '../roles/alliance/audit-models.js';
import { auditAlliancePublic } from '../roles/alliance/audit-public.js';
import type { AllianceSecrets } from '../roles/alliance/env.js';
import { keptGroup } from '../roles/alliance/member-files.js';
import type { AuditLevel, Finding } from '../roles/audit.js';
import { createBell } from '../roles/bell.js';
import { allianceFile } from '../roles/job-files.js';
import { openBookOf, type JobBook } from '../roles/job-book.js';
import { table } from '../terminal/table.js';
import { otherKind, type GivenKeys } from './audit-keys.js';
import { verdictOf } from './audit-report.js';
import { requireAllAnswers, type AuditSource } from './audit-source.js';
import type { Context, Outcome } from './command.js';
import { ALLIANCE_READING } from './find-alliance.js';
import { decodeReceiptInvoice } from './find-job.js';
import { sats } from './status-tables.js';

/** `nmkt audit` of an alliance, whose models only its members can open. */

const CHECKS = {
  public: [
    ...['signatures', 'chains', 'members', 'draws', 'lists', 'omissions'],
    ...['votes', 'settlements', 'receipts'],
  ],
  keys: ['models'],
} as const;

interface Audited {
  readonly level: keyof typeof CHECKS;
  readonly why: string | null;
  readonly found: Finding | null;
}

/** @throws NmktError `audit-failed` with the document, when an event does not follow; `bad-usage` with --keys */
export async function auditAlliance(
  context: Context,
  jobId: EventId,
  source: AuditSource,
  given: GivenKeys | undefined,
  upTo: AuditLevel,
): Promise<Outcome> {
  const { deps, progress } = context;
  if (given !== undefined) throw otherKind('no --keys: the home of its customer or of a member opens an alliance');
  const { clock } = deps;
  const book = await openBookOf(jobId, {
    ...{ relays: source.relays, clock, bell: createBell(clock), reading: ALLIANCE_READING },
  });
  try {
    const audited = await audit(context, book, source, upTo);
    await source.keep([]);
    progress.done();
    const value = documentOf(audited, book);
    return verdictOf(value, describe(value));
  } finally {
    book.close();
  }
}

async function audit(
  context: Context,
  book: JobBook<FoldedAlliance>,
  { relays, isOffline }: AuditSource,
  upTo: AuditLevel,
): Promise<Audited> {
  const { deps, progress, signal } = context;
  const nowSec = deps.clock.nowSec();
  const facts = { decode: decodeReceiptInvoice, nowSec };
  let found = auditAlliancePublic(book.state(), facts);
  if (found?.rule === 'missing') {
    await requireAllAnswers(book, relays.urls, found);
    found = auditAlliancePublic(book.state(), facts);
  }
  if (found !== null) return { level: 'public', why: null, found };
  const state = book.state().state!;
  const group = isOffline || upTo === 'public' ? undefined : await groupOfHome(context, state.jobId);
  if (group === undefined) {
    const why = upTo === 'public' ? 'no higher one was asked for' : 'only its customer and members can open proposals';
    return { level: 'public', why, found: null };
  }
  const ports = { relays, signal, nowSec, group, onProgress: (text: string) => progress.update(text) };
  return { level: 'keys', why: null, found: await auditAllianceModels(state, ports) };
}

/** Of the customer, or of a member. */
async function groupOfHome({ deps }: Context, job: EventId): Promise<Uint8Array | undefined> {
  const home = deps.home();
  const secrets = (await home.readJson(allianceFile(job))) as AllianceSecrets | undefined;
  if (secrets !== undefined) return fromHex(secrets.group);
  return keptGroup({ files: { read: (name) => home.readFile(`jobs/${job}/${name}`) } });
}

function documentOf({ level, why, found }: Audited, book: JobBook<FoldedAlliance>) {
  const { jobId, phase, state, forks } = book.state();
  const author = found === null ? undefined : book.raw(found.event)?.pubkey;
  const rounds = state?.rounds ?? [];
  return {
    ...{ job: jobId, mode: 'alliance' as const, level, why },
    verdict: found === null ? ('PASS' as const) : ('FAIL' as const),
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    reached: level === 'public' ? CHECKS.public : [...CHECKS.public, ...CHECKS.keys],
    ...{ phase, events: book.all().length, rounds: rounds.length },
    accepted: rounds.filter(({ tally }) => tally?.isAccepted === true).length,
    paidMsat: paidMsat({ rounds }),
    forks: forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    unreadable: book.unreadable().length,
  };
}

function describe(value: ReturnType<typeof documentOf>): string {
  const { phase, firstBad, why } = value;
  const opened = {
    public: firstBad === null ? 'signed events alone' : 'signed events alone are enough to see it',
    keys: 'proposals opened, every accepted aggregate computed again to the byte',
  }[value.level];
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  return table([
    ['job', value.job],
    ['level', `${value.level}: ${why === null ? opened : `${opened}; ${why}`}`],
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
