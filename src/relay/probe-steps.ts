import { buildChunk, SEALED_CHUNK_BYTES } from '../protocol/chunk.js';
import { KINDS } from '../protocol/kinds.js';
import type { EventTemplate, Filter, NostrEvent, Signer } from '../ports.js';
import { DELETION, GIFT_WRAP } from './kinds.js';
import { HUNG_UP, openProbeLine, type Answer } from './probe-line.js';
import { sessionOver, type ProbeSession } from './probe-session.js';
import type { BurstFacts, ProbeOptions, ProbeSteps, StepFacts } from './probe.js';

/** The writing part of a probe: everything is written, read back over a new connection, and its deletion asked for. */

const PROBE_SECONDS = 60;
/** As many events as an upload has in flight. */
const BURST = 16;
const SLOWER_MS = 1_000;
/** Halvings between a small event and a chunk: finds a relay's limit to 4 KB. */
const SIZE_TRIES = 4;
/** A no that has nothing to do with the size. */
const NOT_ABOUT_SIZE = /^(pow|auth-required|restricted|rate-limited|blocked|error):/;

/** A no, or the end of the connection. To wait out silence once for every size would take a minute. */
const maySaySize = ({ state, message }: Answer): boolean =>
  (state === 'refused' && !NOT_ABOUT_SIZE.test(message)) || (state === 'silent' && message.startsWith(HUNG_UP));

interface Written extends Answer {
  readonly event: NostrEvent;
  readonly writeMs: number;
}

export async function tryEverything(url: string, session: ProbeSession, options: ProbeOptions): Promise<ProbeSteps> {
  const { signer, oneTime, stranger, clock, random } = options;
  const nowSec = clock.nowSec();
  const until = String(nowSec + PROBE_SECONDS);
  const template = (kind: number, tags: string[][], content = ''): EventTemplate => ({
    ...{ kind, content },
    created_at: nowSec,
    tags: [...tags, ['expiration', until]],
  });
  const write = async (by: Signer, what: EventTemplate): Promise<Written> => {
    const event = await by.sign(what);
    const startMs = clock.nowMs();
    return { ...(await session.publish(event)), event, writeMs: clock.nowMs() - startMs };
  };
  const sized = (bytes: number): EventTemplate =>
    template(KINDS.chunk, [], Buffer.from(random(Math.ceil(bytes * 0.75))).toString('base64'));
  const wrapTo = async (to: Signer) =>
    template(GIFT_WRAP, [['p', to.pubkey]], await oneTime.encrypt(to.pubkey, 'nmkt doctor'));

  const name = `nmkt/doctor/${Buffer.from(random(8)).toString('hex')}`;
  const event = await write(signer, template(KINDS.backup, [['d', name]]));
  if (event.state === 'silent') return nothingOf(event);
  const regular = await write(signer, sized(64));
  // Some relays end the connection instead of an answer to what is too long for them; the next write connects again.
  const chunk = await write(oneTime, buildChunk(random(SEALED_CHUNK_BYTES), nowSec, nowSec + PROBE_SECONDS));
  const wrap = await write(oneTime, await wrapTo(signer));
  const strange = await write(oneTime, await wrapTo(stranger));
  const ephemeral = await passOn(session, await signer.sign(template(KINDS.presence, [], name)), clock);
  const small = await Promise.all(Array.from({ length: BURST }, () => oneTime.sign(sized(64))));
  const { burst, stored } = await burstOf(session, small, clock);
  const wantsSizes = maySaySize(chunk) && burst.message === '';
  const sizes = await limitOf(stored[0] ?? storedEvent(regular)[0], chunk, wantsSizes, (bytes) =>
    write(oneTime, sized(bytes)),
  );

  await session.renew();
  const facts = {
    event: await backOf(session, event, clock),
    regular: await backOf(session, regular, clock),
    chunk: await backOf(session, chunk, clock),
    wrap: await backOf(session, wrap, clock, signer),
    strange: await backToStranger(url, strange, options),
    ephemeral,
  };
  const own = [event, regular].flatMap(storedEvent);
  const others = [...stored, ...sizes.stored, ...[chunk, wrap, strange].flatMap(storedEvent)];
  const shown = [...(facts.event.isBack ? [event.event] : []), ...(facts.chunk.isBack ? [chunk.event] : [])];
  const deletion = await deletionOf(session, shown, async () => [
    ...(own.length > 0 ? [await signer.sign(deletionBy(own, nowSec))] : []),
    ...(others.length > 0 ? [await oneTime.sign(deletionBy(others, nowSec))] : []),
  ]);
  const { takenBytes, refusedBytes } = sizes;
  const { loginToRead, loginToWrite } = session;
  return { ...facts, burst, takenBytes, refusedBytes, deletion, loginToRead, loginToWrite };
}

const storedEvent = ({ state, event }: Written): NostrEvent[] => (state === 'stored' ? [event] : []);
const bytesOf = (event: NostrEvent): number => Buffer.byteLength(JSON.stringify(event));

/** Reads one event back. @param reader  of a gift wrap: some relays hide it, without a word, from who is not logged in */
async function backOf(
  session: ProbeSession,
  { event, writeMs, state, message }: Written,
  clock: ProbeOptions['clock'],
  reader?: Signer,
): Promise<StepFacts> {
  if (state !== 'stored') return { state, message, isBack: false, writeMs, readMs: 0 };
  const filter: Filter = {
    ids: [event.id],
    ...(reader && { '#p': [reader.pubkey], kinds: [GIFT_WRAP] }),
  };
  const startMs = clock.nowMs();
  let found = await session.read(filter);
  if (reader && !found.ids.has(event.id) && (await session.logIn())) found = await session.read(filter);
  const isBack = found.ids.has(event.id);
  return { state, message: isBack ? message : found.message, isBack, writeMs, readMs: clock.nowMs() - startMs };
}

/** Over a connection of the recipient. */
async function backToStranger(url: string, written: Written, options: ProbeOptions): Promise<StepFacts> {
  const { clock, stranger, timeoutMs } = options;
  const open = () => openProbeLine(url, timeoutMs ?? 8_000);
  const line = written.state === 'stored' ? await open() : 'nothing to read';
  if (typeof line === 'string') {
    const { state, message, writeMs } = written;
    return { state, message: state === 'stored' ? line : message, isBack: false, writeMs, readMs: 0 };
  }
  const session = sessionOver(line, { open, signer: stranger, clock, mayLogIn: true });
  try {
    return await backOf(session, written, clock, stranger);
  } finally {
    session.close();
  }
}

async function passOn(session: ProbeSession, event: NostrEvent, clock: ProbeOptions['clock']): Promise<StepFacts> {
  const { came } = await session.listen(event.id);
  const startMs = clock.nowMs();
  const answer = await session.publish(event);
  const writeMs = clock.nowMs() - startMs;
  const isBack = answer.state === 'stored' && (await came);
  return { ...answer, isBack, writeMs, readMs: clock.nowMs() - startMs - writeMs };
}

async function burstOf(
  session: ProbeSession,
  events: readonly NostrEvent[],
  clock: ProbeOptions['clock'],
): Promise<{ readonly burst: BurstFacts; readonly stored: readonly NostrEvent[] }> {
  const startMs = clock.nowMs();
  const answers = await session.publishAtOnce(events);
  const tookMs = clock.nowMs() - startMs;
  const stored = events.filter((_, at) => answers[at]!.state === 'stored');
  const message = answers.find(({ state }) => state !== 'stored')?.message ?? '';
  const putOff = events.find((_, at) => answers[at]!.message.startsWith('rate-limited:'));
  let isTakenLater: boolean | null = null;
  if (putOff !== undefined) {
    await clock.wait(SLOWER_MS);
    isTakenLater = (await session.publishAtOnce([putOff]))[0]!.state === 'stored';
  }
  const burst = { sent: events.length, stored: stored.length, tookMs, message, isTakenLater };
  return { burst, stored: isTakenLater === true ? [...stored, putOff!] : stored };
}

interface Sizes {
  readonly takenBytes: number | null;
  readonly refusedBytes: number | null;
  readonly stored: readonly NostrEvent[];
}

async function limitOf(
  small: NostrEvent | undefined,
  chunk: Written,
  isSearching: boolean,
  write: (bytes: number) => Promise<Written>,
): Promise<Sizes> {
  const chunkBytes = bytesOf(chunk.event);
  if (chunk.state === 'stored') return { takenBytes: chunkBytes, refusedBytes: null, stored: [] };
  let takenBytes = small === undefined ? null : bytesOf(small);
  if (!isSearching || takenBytes === null) return { takenBytes, refusedBytes: null, stored: [] };
  let refusedBytes = chunkBytes;
  const stored: NostrEvent[] = [];
  for (let tries = 0; tries < SIZE_TRIES; tries++) {
    const written = await write(Math.floor((takenBytes + refusedBytes) / 2));
    if (written.state !== 'stored' && !maySaySize(written)) break;
    if (written.state !== 'stored') refusedBytes = Math.min(refusedBytes, bytesOf(written.event));
    else {
      takenBytes = Math.max(takenBytes, bytesOf(written.event));
      stored.push(written.event);
    }
  }
  return { takenBytes, refusedBytes, stored };
}

/** NIP-09 */
function deletionBy(events: readonly NostrEvent[], nowSec: number): EventTemplate {
  const kinds = [...new Set(events.map(({ kind }) => String(kind)))];
  const tags = [...events.map(({ id }) => ['e', id]), ...kinds.map((kind) => ['k', kind])];
  return { kind: DELETION, created_at: nowSec, tags, content: '' };
}

/** @param shown  what the relay gave back before */
async function deletionOf(
  session: ProbeSession,
  shown: readonly NostrEvent[],
  requests: () => Promise<readonly NostrEvent[]>,
): Promise<ProbeSteps['deletion']> {
  const answers: Answer[] = [];
  for (const request of await requests()) answers.push(await session.publish(request));
  if (shown.length === 0) return null;
  if (answers.some(({ state }) => state !== 'stored')) return 'refused';
  const left = await session.read({ ids: shown.map(({ id }) => id) });
  if (left.state !== 'answered') return null;
  return left.ids.size === 0 ? 'honoured' : 'ignored';
}

/** Nobody is kept waiting for what a relay that answers nothing will not answer. */
function nothingOf({ message, writeMs }: Written): ProbeSteps {
  const silent: StepFacts = { state: 'silent', message, isBack: false, writeMs, readMs: 0 };
  return {
    ...{ event: silent, regular: silent, chunk: silent, wrap: silent, strange: silent, ephemeral: silent },
    burst: { sent: 0, stored: 0, tookMs: 0, message, isTakenLater: null },
    ...{ takenBytes: null, refusedBytes: null, deletion: null, loginToRead: false, loginToWrite: false },
  };
}
