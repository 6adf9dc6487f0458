import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { foldJob } from '../market/fold.js';
import { chainTip, type AnyJobState, type JobState } from '../market/state.js';
import {
  EVENT_TYPES,
  parseJobEvent,
  type ContentOf,
  type EventName,
  type EventOf,
  type JobEvent,
} from '../protocol/events.js';
import type { EventType } from '../protocol/envelope.js';
import { JOB_KINDS, KINDS } from '../protocol/kinds.js';
import { cut, joined, partsOf } from '../protocol/parts.js';
import type { Clock, FetchResult, Filter, Journal, NostrEvent, Progress, Relays, Signer } from '../ports.js';
import type { Bell } from './bell.js';
import { createAdmission } from './book-admission.js';
import { mine } from './proof-of-work.js';
import { keyInUse, requireAllAnswers, requireSoundChain } from './book-refusals.js';
import { createHoldings } from './holdings.js';

/** Signed bytes, durable before they are published: a restart publishes the same bytes and signs nothing twice. */
export interface SignedRecord {
  readonly event: NostrEvent;
}

/** All events of one job as this participant knows them, kept up to date by a subscription. */
export interface JobBook<S extends AnyJobState = JobState> {
  readonly jobId: EventId;
  state(): S;
  /** The event as published, for provenance and dumps. */
  raw(id: EventId): NostrEvent | undefined;
  all(): readonly NostrEvent[];
  /** Events that could not be parsed: they count for nothing. */
  unreadable(): readonly { readonly id: EventId; readonly reason: string }[];
  /** Asks the relays again. @returns relays that answered */
  refresh(): Promise<readonly string[]>;
  /** Links to the own chain, signs, makes durable, publishes. Needs a signer. */
  sign<K extends EventName>(
    type: K,
    content: ContentOf<K>,
    people?: readonly Pubkey[],
    createdAt?: number,
  ): Promise<EventOf<K>>;
  /** Own events that no relay has taken yet. */
  unpublished(): number;
  /** Publishes again what no relay has taken yet. @returns events that still none has */
  retryUnpublished(): Promise<number>;
  /** Who must have answered before something counts as absent: the relays that hold the customer's last event; else all. */
  witnesses(): readonly string[];
  /** Publishes the whole own chain again, to every relay. */
  republish(): Promise<void>;
  close(): void;
}

export interface BookPorts<S extends AnyJobState = JobState> {
  readonly relays: Relays;
  readonly clock: Clock;
  readonly bell: Bell;
  /** Both absent for those who only read. */
  readonly signer?: Signer;
  readonly journal?: Journal<SignedRecord>;
  /** Told about relays that lose events. */
  readonly progress?: Progress;
  /** When the home came out of a backup (Unix seconds): another one may have gone on since with a job that is older. */
  readonly restoredAt?: number;
  /** Default: every book reads for itself. Books of one process may share what they read alike. */
  readonly reading?: Reading<S>;
}

/** How events become a state; pure. */
export interface Reading<S extends AnyJobState = JobState> {
  /** @param whole  the content that its parts make, where it came in parts */
  parse(event: NostrEvent, whole?: string): JobEvent;
  fold(jobId: EventId, events: Iterable<JobEvent>): S;
}

/** Reasons kept of events that could not be parsed. */
const MAX_UNREADABLE = 1_000;
/** Events kept that wait for their parts. */
const MAX_WAITING = 1_000;

/** Most relays return at most some hundred events for one filter; the pool pages. */
export function jobFilters(jobId: EventId): Filter[] {
  return [{ ids: [jobId] }, { '#e': [jobId], kinds: [...JOB_KINDS, KINDS.part] }];
}

/**
 * Reads the journal, then the relays; own events that no relay has are published again. Own events that only relays have were signed
 * by another home of this key: they are kept in the journal too, and then every relay has to answer, or a later one could be missed
 * and its number signed a second time.
 *
 * @throws NmktError `relay-unreachable` when no relay answered, or one did not after another home signed or a restore
 */
export async function openBook(jobId: EventId, ports: BookPorts): Promise<JobBook> {
  return openBookOf(jobId, { ...ports, reading: ports.reading ?? { parse: parseJobEvent, fold: foldJob } });
}

/** As `openBook`, of a job of any kind. */
export async function openBookOf<S extends AnyJobState>(
  jobId: EventId,
  ports: BookPorts<S> & { readonly reading: Reading<S> },
): Promise<JobBook<S>> {
  const { relays, clock, bell, signer, journal, progress, reading } = ports;
  const raw = new Map<EventId, NostrEvent>();
  const parsed = new Map<EventId, JobEvent>();
  const bad = new Map<EventId, string>();
  const unpublished = new Map<EventId, NostrEvent>();
  let cached: S | null = null;
  const admission = createAdmission(jobId, signer?.pubkey, parsed);

  const parts = new Map<EventId, NostrEvent>();
  const waiting = new Map<EventId, NostrEvent>();
  const addPart = (event: NostrEvent): void => {
    const part = { id: event.id, author: event.pubkey, type: 'part' } as const;
    if (parts.has(event.id) || !admission.admit(event, part, evict)) return;
    parts.set(event.id, event);
    for (const whole of waiting.values()) if (whole.pubkey === event.pubkey) add(whole);
  };
  const add = (event: NostrEvent): void => {
    if (raw.has(event.id)) return;
    if (event.kind === KINDS.part) return addPart(event);
    try {
      const whole = partsOf(event) === null ? undefined : joined(event, (id) => parts.get(id));
      if (whole === null) {
        if (waiting.size < MAX_WAITING || admission.isTrusted(event.pubkey)) waiting.set(event.id, event);
        return;
      }
      waiting.delete(event.id);
      const one = reading.parse(event, whole);
      if (one.job !== jobId) return;
      // What the customer names counts, however much its author said besides.
      if (event.id !== jobId && !admission.isNamed(event.id) && !admission.admit(event, one, evict)) return;
      raw.set(event.id, event);
      parsed.set(event.id, one);
      admission.note(one);
      cached = null;
      bell.ring();
    } catch (error) {
      if (bad.size < MAX_UNREADABLE) bad.set(event.id, (error as Error).message);
    }
  };
  const evict = (id: EventId): void => {
    raw.delete(id);
    parts.delete(id);
    parsed.delete(id);
    cached = null;
  };
  /** Whom to trust, and who bids, is known before strangers are counted. */
  const inOrder = (events: readonly NostrEvent[]): NostrEvent[] => {
    const author = events.find(({ id }) => id === jobId)?.pubkey ?? parsed.get(jobId)?.author;
    const rank = ({ id, pubkey }: NostrEvent): number => (id === jobId ? 0 : pubkey === author ? 1 : 2);
    return [...events].sort((a, b) => rank(a) - rank(b) || a.created_at - b.created_at);
  };

  const holdings = createHoldings(relays);
  const publish = async (event: NostrEvent): Promise<void> => {
    const outcomes = await relays.publish(event);
    holdings.published(event.id, outcomes);
    if (outcomes.some((outcome) => outcome.state === 'stored')) unpublished.delete(event.id);
    else if (outcomes.every((outcome) => outcome.state === 'refused'))
      throw new NmktError(
        'relay-refused',
        `every relay refused event ${event.id.slice(0, 12)}… of kind ${event.kind}`,
        {
          expected: 'OK true from at least one relay',
          got: outcomes.map((outcome) => `${outcome.relay}: ${outcome.message}`).join('; '),
          remedy: 'use another relay with --relay, or ask its operator',
        },
      );
  };

  const openedAt = clock.nowSec();
  let rival: NostrEvent | null = null;
  /** An own event that is news while this process runs: another process signs with the same key. */
  const hear = (event: NostrEvent): void => {
    const isNews = !raw.has(event.id) && !parts.has(event.id);
    add(event);
    if (isNews && isOwn(event) && event.created_at >= openedAt) rival = event;
  };
  const isOwn = (event: NostrEvent): boolean =>
    journal !== undefined && event.pubkey === signer?.pubkey && event.id !== jobId && raw.has(event.id);

  /** Each relay for itself: who holds what decides who has to be asked about absence, and who gets what it lacks. */
  const fetchAll = async (): Promise<FetchResult> => {
    const answers = await Promise.all(
      relays.urls.map(async (url) => ({ url, ...(await relays.fetch(jobFilters(jobId), { relays: [url] })) })),
    );
    for (const { url, events, answered } of answers)
      if (answered.length > 0) holdings.answered(url, new Set(events.map((event) => event.id)));
    const events = new Map(answers.flatMap((answer) => answer.events).map((event) => [event.id, event]));
    return {
      events: [...events.values()],
      answered: answers.filter(({ answered }) => answered.length > 0).map(({ url }) => url),
      silent: answers.filter(({ answered }) => answered.length === 0).map(({ url }) => url),
    };
  };
  const refresh = async (): Promise<readonly string[]> => {
    // What is published while they answer is not expected in the answer.
    const own = ownChain().filter((event) => !unpublished.has(event.id));
    const { events, answered } = await fetchAll();
    inOrder(events).forEach(hear);
    await Promise.all(answered.map((relay) => catchUp(relay, own)));
    return answered;
  };
  const ownChain = (): NostrEvent[] =>
    [...parsed.values()]
      .filter((one) => one.author === signer?.pubkey)
      .sort((a, b) => a.seq - b.seq)
      .flatMap((one) => withParts(raw.get(one.id)!));
  const withParts = (event: NostrEvent): NostrEvent[] => [...(partsOf(event) ?? []).map((id) => parts.get(id)!), event];
  const forgetful = new Set<string>();
  const catchUp = async (relay: string, own: readonly NostrEvent[]): Promise<void> => {
    const forgotten = await holdings.catchUp(relay, own);
    if (forgotten === 0 || forgetful.has(relay)) return;
    forgetful.add(relay);
    progress?.warn(
      `${relay} said that it stored ${forgotten} of our events and does not have ${forgotten === 1 ? 'it' : 'them'}: published again; use another relay if this goes on`,
    );
  };

  for (const { event } of (await journal?.read()) ?? []) {
    add(event);
    unpublished.set(event.id, event);
  }
  const fetched = await fetchAll();
  if (fetched.answered.length === 0)
    throw new NmktError('relay-unreachable', `no relay answered for job ${jobId.slice(0, 12)}…`, {
      expected: `an answer from one of ${relays.urls.join(', ')}`,
      got: 'silence',
      remedy: 'check the network, or name another relay with --relay URL',
    });
  const kept = new Set(raw.keys());
  for (const event of inOrder(fetched.events)) {
    add(event);
    unpublished.delete(event.id);
  }
  const foreign = fetched.events.filter((event) => isOwn(event) && !kept.has(event.id));
  const isOlder = (raw.get(jobId)?.created_at ?? 0) <= (ports.restoredAt ?? -1);
  if (journal !== undefined && (isOlder || foreign.length > 0)) {
    requireAllAnswers(jobId, fetched, foreign.length > 0);
    const seqOf = (event: NostrEvent) => parsed.get(event.id)!.seq;
    for (const event of foreign.sort((a, b) => seqOf(a) - seqOf(b)).flatMap(withParts)) await journal.append({ event });
  }
  /** In the order of the chain: nobody counts an event whose predecessor is missing. */
  const publishInOrder = async (): Promise<void> => {
    for (const event of [...unpublished.values()]) {
      await publish(event);
      if (unpublished.has(event.id)) return;
    }
  };
  await publishInOrder();
  const subscription = relays.subscribe(jobFilters(jobId), hear);

  const state = (): S => (cached ??= reading.fold(jobId, parsed.values()));

  let signing: Promise<unknown> = Promise.resolve();
  async function signNext<K extends EventName>(
    type: K,
    content: ContentOf<K>,
    people: readonly Pubkey[],
    createdAt = clock.nowSec(),
  ): Promise<EventOf<K>> {
    const me = signer!.pubkey;
    if (rival !== null) throw keyInUse(rival, jobId);
    requireSoundChain(state(), me);
    const wire = EVENT_TYPES[type] as unknown as EventType<K, ContentOf<K>>;
    const built = wire.build({ job: jobId, ...chainTip(state(), me) }, content, createdAt, people);
    const job = parsed.get(jobId);
    const bits = job?.type === 'job' ? job.content.minBidPow : undefined;
    const isBid = type === 'bid' || type === 'sealed-bid';
    const template = isBid && bits !== undefined ? await mine(built, me, bits) : built;
    const pieces = cut(template);
    const signed: NostrEvent[] = [];
    for (const part of pieces?.parts ?? []) signed.push(await signer!.sign(part));
    const event = await signer!.sign(pieces === null ? template : pieces.event(signed.map(({ id }) => id)));
    const one = wire.parse(event, pieces === null ? undefined : template.content) as unknown as EventOf<K>;
    // Without the event that names them parts count for nothing: a kill in between signs others.
    for (const each of [...signed, event]) {
      await journal!.append({ event: each });
      add(each);
      unpublished.set(each.id, each);
    }
    await publishInOrder();
    return one;
  }

  return {
    jobId,
    state,
    raw: (id) => raw.get(id),
    all: () => [...raw.values()].flatMap(withParts),
    unreadable: () => [...bad].map(([id, reason]) => ({ id, reason })),
    refresh,
    async sign(type, content, people = [], createdAt) {
      if (signer === undefined || journal === undefined) throw new TypeError('this book only reads');
      // One at a time: two events signed on the same tip would be a fork.
      return (signing = signing.then(
        () => signNext(type, content, people, createdAt),
        () => signNext(type, content, people, createdAt),
      ) as Promise<never>);
    },
    witnesses() {
      const { job, chains } = state();
      const last = job === null ? undefined : chains.get(job.author)?.events.at(-1);
      const holders = last === undefined ? [] : holdings.holders(last.id);
      return holders.length > 0 ? holders : relays.urls;
    },
    async republish() {
      for (const event of ownChain()) await relays.publish(event);
    },
    unpublished: () => unpublished.size,
    async retryUnpublished() {
      await publishInOrder();
      return unpublished.size;
    },
    close: () => subscription.close(),
  };
}
