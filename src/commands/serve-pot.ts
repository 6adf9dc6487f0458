import { formatPubkey } from '../config/identifiers.js';
import { isNmktError, NmktError, type ErrorCode } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import type { Rung } from '../learning/types.js';
import type { AnyJobState } from '../market/state.js';
import type { Engine, NostrEvent } from '../ports.js';
import { createBell } from '../roles/bell.js';
import { chunkFiles } from '../roles/home-files.js';
import { openBookOf, type JobBook, type Reading, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { insisting } from '../roles/patience.js';
import type { TrainerEnv } from '../roles/trainer.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import { jobFiles } from './lead.js';
import { tellEnd, type WorkServer } from './serve-work.js';
import { SAT } from './trainer-bounds.js';

/** Work in jobs with a pot, which rankings or votes split: which of them, and what each gets of the process. */

/** Reason, expected, got. */
export type Refusal = readonly [reason: string, expected: string, got: string];

export const isRefusal = <T>(found: T | Refusal): found is Refusal =>
  Array.isArray(found) && typeof found[0] === 'string';

interface PotJob {
  readonly id: EventId;
  readonly author: Pubkey;
  readonly content: { readonly network: string; readonly acceptedEngines: readonly Rung[] };
}

/** What anybody may say no for, who has not begun. @param closesAt  Unix seconds; `open` says what was expected then */
export function refuse(
  { bounds, ports, wallet }: WorkServer,
  { author, content }: PotJob,
  asked: { readonly closesAt: number; readonly open: string; readonly pays: boolean; readonly stakeMsat: bigint },
): Refusal | null {
  const { closesAt, open, pays, stakeMsat } = asked;
  if (author === ports.signer.pubkey) return ['own-job', 'a job of another key', 'the key of its customer'];
  if (closesAt <= ports.clock.nowSec()) return ['closed', open, 'one that is over'];
  if (bounds.deny.has(author) || (bounds.allow.size > 0 && !bounds.allow.has(author)))
    return ['customer', 'a customer that --allow and --deny let in', formatPubkey(author)];
  if (pays && wallet === null) return ['no-wallet', 'a wallet: this job pays', 'none'];
  if (pays && content.network !== bounds.network)
    return ['network', `a job that pays on ${bounds.network}, where this wallet is`, `one on ${content.network}`];
  return stakeMsat > bounds.maxStakeMsat
    ? ['stake', `a stake of at most ${bounds.maxStakeMsat / SAT} sat (--max-stake)`, `${stakeMsat / SAT} sat`]
    : null;
}

export async function lacksEngine({ engines }: WorkServer, { content }: PotJob): Promise<Refusal | null> {
  try {
    await engines.idFor(content.acceptedEngines);
    return null;
  } catch (error) {
    if (!isNmktError(error, 'engine-unavailable')) throw error;
    return ['engine', `one of the engines ${content.acceptedEngines.join(', ')}`, 'another one here'];
  }
}

/** What the loop of any of these roles stands on. */
export interface PotWork<S extends AnyJobState> extends Pick<
  TrainerEnv,
  | 'relays'
  | 'signer'
  | 'inbox'
  | 'clock'
  | 'random'
  | 'bell'
  | 'files'
  | 'stake'
  | 'wallet'
  | 'network'
  | 'paymentHashOf'
  | 'engine'
  | 'chunks'
  | 'progress'
  | 'signal'
  | 'emit'
> {
  readonly book: JobBook<S>;
}

type PotEnd = { readonly wasOver: boolean } & (
  | { readonly end: 'done'; readonly rounds: number; readonly paidMsat: bigint }
  | { readonly end: 'lost' | 'cancelled' | 'stopped'; readonly why: string }
);

export interface PotService<J extends PotJob, S extends AnyJobState & { readonly phase: string }, T> {
  /** @throws where the event is none of these jobs */
  readonly parse: (event: NostrEvent) => J;
  readonly reading: Reading<S>;
  /** As its error names them: `arena`, `trainer`. */
  readonly words: readonly [job: string, role: string];
  readonly command: 'serve-trainer' | 'serve-validator';
  /** Of a job that was not begun. */
  readonly refusal: (job: J) => Promise<Refusal | null>;
  /** What the role needs of the job, or why it is not for it. */
  readonly prepare: (job: J) => Promise<T | Refusal>;
  /** Memory of its largest training or evaluation. */
  readonly bytes: (job: J, found: T) => number;
  readonly work: (env: PotWork<S>, found: T) => Promise<PotEnd>;
  /** Of reasons, but for `job-closed`. */
  readonly codes: Readonly<Record<string, ErrorCode>>;
}

/** @returns how it ended; null: it is none of these jobs, not for this key, or was over and told before */
export async function servePot<J extends PotJob, S extends AnyJobState & { readonly phase: string }, T>(
  server: WorkServer,
  { parse, reading, words, command, refusal, prepare, bytes, work, codes }: PotService<J, S, T>,
  event: NostrEvent,
  isNamed: boolean,
): Promise<PotEnd | null> {
  const { ports, context, inbox, wallet, engines, bounds, stop } = server;
  const { signer, clock, random, relays, files } = ports;
  let job: J;
  try {
    job = parse(event);
  } catch {
    return null;
  }
  const journal = await context.deps.openJournal<SignedRecord>(context.deps.home().path(eventsFile(job.id)));
  const isBegun = (await journal.read()).length > 0;
  const found = (isBegun ? null : await refusal(job)) ?? (await prepare(job));
  if (isRefusal(found)) {
    await journal.close();
    const [reason, expected, got] = found;
    server.emit(job.id, 'skipped', { reason, expected, got }, `skipped: expected ${expected}, got ${got}`);
    if (!isNamed) return null;
    const remedy = `serve other jobs: leave out --job; nmkt ${command} --help names the bounds`;
    const message = `${words[0]} ${job.id.slice(0, 12)}… is not for this ${words[1]}: ${reason}`;
    throw new NmktError(codes[reason] ?? 'job-closed', message, { expected, got, remedy });
  }
  const bell = createBell(clock);
  const book = await insisting({ clock, bell, progress: context.progress, signal: stop }, () =>
    openBookOf(job.id, { ...ports, bell, journal, reading }),
  );
  const unwatch = inbox.watch(bell);
  const isPast = ['finished', 'cancelled'].includes(book.state().phase) && !isNamed;
  let engine: Promise<Engine> | undefined;
  const env: PotWork<S> = {
    ...{ book, relays, signer, inbox, clock, random, bell, wallet, progress: context.progress, signal: stop },
    ...{ files: jobFiles(files, job.id), chunks: chunkFiles(files, `jobs/${job.id}`) },
    stake: { stake: () => context.deps.stake(), maxMsat: bounds.maxStakeMsat },
    network: context.deps.network,
    paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
    engine: () => (engine ??= engines.forAny(job, bytes(job, found))),
    emit: (name, fields, text) => (isPast ? undefined : server.emit(job.id, name, fields, text)),
  };
  try {
    const end = await work(env, found);
    if (end.wasOver && isPast) return null;
    tellEnd(server, job.id, end);
    return end;
  } finally {
    await engine?.then((own) => own.close()).catch(() => undefined);
    unwatch();
    book.close();
    await journal.close();
  }
}
