import { parseEventReference } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import type { Clock, FetchResult, NostrEvent, Relays } from '../ports.js';
import { parseSnapshot, type Snapshot } from '../protocol/dataset.js';
import { tagValue } from '../protocol/envelope.js';
import type { EventOf } from '../protocol/events.js';
import type { SignedInvoice } from '../market/receipt-proof.js';
import { createBell } from '../roles/bell.js';
import { openBook, type JobBook } from '../roles/job-book.js';
import { requireRunning } from '../roles/patience.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import type { Context } from './command.js';
import { MODES, type Mode } from './job-mode.js';

/** The job that a user names. @throws NmktError `bad-key` */
export function findJob(reference: string): EventId {
  const found = parseEventReference(reference);
  if (found.type === 'id') return found.id;
  throw new NmktError('bad-key', 'a job is an event, not an address', {
    expected: 'an event id: 64 hex characters, note1… or nevent1…',
    got: 'naddr1…',
    remedy: 'use the id that post-job printed',
  });
}

/** As its event says; null: no relay that answered has it. */
export async function modeOfJob(relays: Relays, jobId: EventId): Promise<Mode | null> {
  const { events } = await relays.fetch([{ ids: [jobId] }]);
  return events[0] === undefined ? null : modeIn(events[0]);
}

const modeIn = (event: NostrEvent): Mode => {
  const phase = tagValue(event, 'phase');
  return MODES.find((mode) => mode === phase) ?? 'federated';
};

/**
 * Reads a job without a home.
 *
 * @param source  instead of the relays of the settings
 * @throws NmktError `job-unknown` when relays answered and none has it, `wrong-mode` for an arena or an alliance
 */
export async function readBook(
  { deps }: Context,
  jobId: EventId,
  source?: { readonly relays: Relays; readonly isOffline: boolean },
): Promise<{ readonly book: JobBook; readonly relays: Relays }> {
  const relays = source?.relays ?? (await deps.relays());
  const book = await openBook(jobId, { relays, clock: deps.clock, bell: createBell(deps.clock) });
  if (book.state().missing.length > 0) await book.refresh();
  if (book.state().job !== null) return { book, relays };
  const event = book.raw(jobId);
  book.close();
  const mode = event === undefined ? 'federated' : modeIn(event);
  if (mode !== 'federated') throw otherMode(jobId, mode);
  const isOffline = source?.isOffline === true;
  const who = isOffline ? 'the dump does not hold' : 'no relay that answered has';
  throw new NmktError('job-unknown', `${who} job ${jobId.slice(0, 12)}…`, {
    expected: 'a job event',
    got: `nothing from ${relays.urls.join(', ')}`,
    remedy: isOffline
      ? 'check the id: the dump is of another job'
      : 'check the id, or name the relay of the job with --relay URL',
  });
}

/** @returns NmktError `wrong-mode` */
export function otherMode(jobId: EventId, mode: Exclude<Mode, 'federated'>): NmktError {
  return new NmktError('wrong-mode', `job ${jobId.slice(0, 12)}… is an ${mode}`, {
    expected: 'a federated job',
    got: `mode ${mode}, which this command does not know yet`,
    remedy: mode === 'arena' ? `nmkt leaderboard ${jobId}` : `nmkt status ${jobId}`,
  });
}

/** For receipts: null when it does not decode or its signature does not verify. */
export function decodeReceiptInvoice(text: string): SignedInvoice | null {
  try {
    const { prefix, msat, paymentHash, descriptionHash = null, payee, ...times } = decodeInvoice(text);
    const { timestampSec, expirySec, minFinalCltv } = times;
    return { prefix, msat, paymentHash, descriptionHash, timestampSec, expirySec, minFinalCltv, payee };
  } catch {
    return null;
  }
}

/** The dataset that a job pins; null where no relay has it, or not as its customer may have published it. */
export function fetchSnapshot(relays: Relays, { author, content }: EventOf<'job'>): Promise<Snapshot | null> {
  return fetchDeclared(relays, author, content.dataset);
}

/** A snapshot that a job names, as its customer published it; null where no relay has it so. */
export async function fetchDeclared(relays: Relays, author: Pubkey, id: EventId): Promise<Snapshot | null> {
  return declaredIn(await relays.fetch([{ ids: [id] }]), author, id);
}

/** As `fetchDeclared`, for who serves: as long as no relay answers nobody can tell that it is missing. */
export async function awaitDeclared(
  { relays, clock }: { readonly relays: Relays; readonly clock: Clock },
  author: Pubkey,
  id: EventId,
  signal: AbortSignal,
): Promise<Snapshot | null> {
  for (;;) {
    requireRunning(signal);
    const found = await relays.fetch([{ ids: [id] }]);
    if (found.answered.length > 0 || found.events.length > 0) return declaredIn(found, author, id);
    await clock.wait(SILENCE_MS, signal);
  }
}
const SILENCE_MS = 2_000;

function declaredIn({ events }: FetchResult, author: Pubkey, id: EventId): Snapshot | null {
  const event = events.find((candidate) => candidate.id === id && candidate.pubkey === author);
  try {
    return event === undefined ? null : parseSnapshot(event);
  } catch {
    return null;
  }
}
