import type { EventId, Pubkey } from '../hash.js';
import { MAX_DRAWS } from '../market/arena/seat-rules.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { createBookLimits, type BookLimits } from './book-limits.js';

/** Whose events a book takes: its own, its customer's, of whom that one names, and of strangers as many as the limits say. */
export interface Admission {
  readonly admit: BookLimits['admit'];
  isTrusted(author: Pubkey): boolean;
  /** Does it count whatever its author said besides? */
  isNamed(id: EventId): boolean;
  /** Of an event that was taken: whom it names is heard from now on. */
  note(one: JobEvent): void;
}

/** Both stages. */
const MAX_ARENA_DRAWS = 2 * MAX_DRAWS;

/** Events of those that a customer names as at work, in an arena or an alliance; null: it names nobody. */
function workersIn({ type, content }: JobEvent): readonly EventId[] | null {
  switch (type) {
    case 'arena-seen':
      return content.ids;
    case 'alias-root':
      return content.validators;
    case 'alliance-open':
      return content.members;
    default:
      return null;
  }
}

/**
 * @param me      undefined: who only reads
 * @param parsed  what the book holds; read when asked
 */
export function createAdmission(
  jobId: EventId,
  me: Pubkey | undefined,
  parsed: ReadonlyMap<EventId, JobEvent>,
): Admission {
  const isTrusted = (author: Pubkey): boolean => author === me || author === parsed.get(jobId)?.author;
  const isSealed = (): boolean => {
    const job = parsed.get(jobId);
    return job?.type === 'job' && job.content.bids === 'sealed';
  };
  const limits = createBookLimits(isTrusted, isSealed);
  let award: EventOf<'award'> | null = null;
  /** Who took over a seat: not all of them had bid before the award. */
  const late = new Set<Pubkey>();
  /** The journal of a customer may name the award before its relays brought the job. */
  const noteAward = (): void => {
    const job = parsed.get(jobId);
    if (award === null || job?.type !== 'job' || job.author !== award.author) return;
    const { bids, validators = [] } = award.content;
    const known = [...bids.map(({ trainer }) => trainer), ...validators.map(({ validator }) => validator)];
    limits.awarded(new Set([...known, ...late]), job.content);
  };
  /** What the customer of an arena saw of trainers, whom it named as validators, and who is a member of an alliance. */
  const named = new Set<EventId>();
  const noteWorkers = (one: JobEvent): void => {
    const ids = isTrusted(one.author) ? workersIn(one) : null;
    for (const id of ids ?? []) named.add(id);
    if (ids === null && !named.has(one.id)) return;
    const workers = [...named].flatMap((id) => parsed.get(id)?.author ?? []);
    const job = parsed.get(jobId);
    const rounds = job?.type === 'alliance-job' ? job.content.rounds : MAX_ARENA_DRAWS;
    limits.awarded(new Set(workers), { rounds });
  };
  return {
    admit: (event, one, evict) => limits.admit(event, one, evict),
    isTrusted,
    isNamed: (id) => named.has(id),
    note(one) {
      if (one.type === 'award' && isTrusted(one.author)) award = one;
      if (one.type === 'replace' && isTrusted(one.author) && one.content.in !== null) late.add(one.content.in.trainer);
      if (one.type === 'award' || one.type === 'job' || one.type === 'replace') noteAward();
      noteWorkers(one);
    },
  };
}
