import { buildChunk, SEALED_CHUNK_BYTES } from '../protocol/chunk.js';
import { KINDS } from '../protocol/kinds.js';
import type { Clock, EventTemplate, NostrEvent, RandomBytes, Signer } from '../ports.js';
import { GIFT_WRAP } from './kinds.js';
import { openProbeLine, type Answer, type ProbeLine } from './probe-line.js';

/** What a market needs of a relay, tried out. What it writes expires in a minute, and its deletion is asked for. */

export const PROBE_STEPS = ['event', 'chunk', 'wrap', 'ephemeral'] as const;
export type ProbeStep = (typeof PROBE_STEPS)[number];

export interface StepFacts extends Answer {
  /** Is what was written given back (ephemeral: passed on)? */
  readonly isBack: boolean;
  readonly writeMs: number;
  readonly readMs: number;
}

export interface ProbeFacts {
  /** Why there is no connection; null when there is one. */
  readonly problem: string | null;
  readonly connectMs: number;
  /** The relay's clock minus this one by the `Date` of the upgrade, in seconds. */
  readonly clockAheadSec: number | null;
  /** `offered`: a challenge came, nothing was refused without a login. */
  readonly auth: 'none' | 'offered' | 'accepted' | 'refused' | 'demanded';
  /** What the relay said when it asked to go slower; null when it never did. */
  readonly slower: string | null;
  /** An empty REQ, without writing: null when it was answered, else what came instead. */
  readonly readProblem: string | null;
  /** Null where nothing was to be written. */
  readonly steps: Readonly<Record<ProbeStep, StepFacts>> | null;
}

export interface ProbeOptions {
  readonly signer: Signer;
  /** A signer nobody uses again, for the wrap. */
  readonly oneTime: Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly isWriting: boolean;
  readonly timeoutMs?: number;
}

const PROBE_SECONDS = 60;
/** As many events as an upload has in flight. */
const BURST = 16;

/** @param url  checked (checkRelayUrl). Never throws for what a relay does. */
export async function probeRelay(url: string, options: ProbeOptions): Promise<ProbeFacts> {
  const { clock, isWriting, timeoutMs = 8_000 } = options;
  const startMs = clock.nowMs();
  const line = await openProbeLine(url, timeoutMs);
  const connectMs = clock.nowMs() - startMs;
  const nothing = {
    connectMs,
    clockAheadSec: null,
    auth: 'none',
    slower: null,
    readProblem: null,
    steps: null,
  } as const;
  if (typeof line === 'string') return { ...nothing, problem: line };
  try {
    const session: Session = { line, options, login: null };
    const read = await line.read({ kinds: [KINDS.job], limit: 1 });
    const isShut = read.state === 'refused' && read.message.startsWith('auth-required:');
    if (isShut && isWriting) await logIn(session);
    const again = isShut && session.login === true ? await line.read({ kinds: [KINDS.job], limit: 1 }) : read;
    const steps = isWriting ? await allSteps(session) : null;
    const isDemanded = isShut && !isWriting;
    const login = session.login === null ? null : session.login ? 'accepted' : 'refused';
    return {
      ...{ problem: null, connectMs, steps, slower: line.slower[0] ?? null },
      clockAheadSec: line.dateMs === null ? null : (line.dateMs + 500 - (startMs + connectMs / 2)) / 1000,
      auth: login ?? (isDemanded ? 'demanded' : line.isChallenged() ? 'offered' : 'none'),
      readProblem: again.state === 'answered' ? null : again.state === 'silent' ? 'no answer to a REQ' : again.message,
    };
  } finally {
    line.close();
  }
}

interface Session {
  readonly line: ProbeLine;
  readonly options: ProbeOptions;
  /** Null until the relay demanded one. */
  login: boolean | null;
}

async function logIn(session: Session): Promise<boolean> {
  const { line, options } = session;
  if (!line.isChallenged()) return (session.login = false);
  return (session.login ??= await line.login(options.signer, options.clock.nowSec()));
}

async function allSteps(session: Session): Promise<Record<ProbeStep, StepFacts>> {
  const { signer, oneTime, clock, random } = session.options;
  const nowSec = clock.nowSec();
  const end = nowSec + PROBE_SECONDS;
  const until = ['expiration', String(end)];
  const plain = (kind: number, tags: string[][], content = ''): EventTemplate => ({
    kind,
    created_at: nowSec,
    tags,
    content,
  });
  const name = `nmkt/doctor/${Buffer.from(random(8)).toString('hex')}`;
  const event = await step(session, signer, plain(KINDS.backup, [['d', name], until]));
  const sealed = await oneTime.encrypt(signer.pubkey, name);
  const wrap = await step(session, oneTime, plain(GIFT_WRAP, [['p', signer.pubkey], until], sealed), {
    '#p': [signer.pubkey],
    kinds: [GIFT_WRAP],
  });
  const ephemeral = await passOn(session, plain(KINDS.presence, [until], name));
  await burst(session, nowSec);
  // Last: some relays end the connection instead of an answer to what is too long for them.
  const chunk = await step(session, signer, buildChunk(random(SEALED_CHUNK_BYTES), nowSec, end));
  return { event, chunk, wrap, ephemeral };
}

/** Writes, reads back, asks for the deletion. */
async function step(session: Session, signer: Signer, template: EventTemplate, filter = {}): Promise<StepFacts> {
  const { line, options } = session;
  const { clock } = options;
  const event = await signer.sign(template);
  const startMs = clock.nowMs();
  const answer = await publish(session, event);
  const writeMs = clock.nowMs() - startMs;
  if (answer.state !== 'stored') return { ...answer, isBack: false, writeMs, readMs: 0 };
  const wanted = { ids: [event.id], ...filter };
  let found = await line.read(wanted);
  if (found.message.startsWith('auth-required:') && session.login === null && (await logIn(session)))
    found = await line.read(wanted);
  const readMs = clock.nowMs() - startMs - writeMs;
  const tags = [
    ['e', event.id],
    ['k', String(event.kind)],
  ];
  await line.publish(await signer.sign({ kind: 5, created_at: template.created_at, tags, content: '' }));
  const isBack = found.ids.has(event.id);
  return { ...answer, message: isBack ? answer.message : found.message, isBack, writeMs, readMs };
}

/** As an upload would: logs in when the relay wants that, and waits once when it is asked to go slower. */
async function publish(session: Session, event: NostrEvent): Promise<Answer> {
  const { line, options } = session;
  const answer = await line.publish(event);
  if (answer.message.startsWith('auth-required:') && session.login === null && (await logIn(session)))
    return line.publish(event);
  if (!answer.message.startsWith('rate-limited:')) return answer;
  await options.clock.wait(1_000);
  return line.publish(event);
}

async function passOn(session: Session, template: EventTemplate): Promise<StepFacts> {
  const { line, options } = session;
  const event = await options.signer.sign(template);
  const { came } = line.listen(event.id);
  const startMs = options.clock.nowMs();
  const answer = await publish(session, event);
  const writeMs = options.clock.nowMs() - startMs;
  const isBack = answer.state === 'stored' && (await came);
  return { ...answer, isBack, writeMs, readMs: options.clock.nowMs() - startMs - writeMs };
}

/** Ephemeral, so that nothing of it stays. What the relay thinks of the pace is kept by the line. */
async function burst({ line, options }: Session, nowSec: number): Promise<void> {
  const until = ['expiration', String(nowSec + PROBE_SECONDS)];
  const make = (index: number) =>
    options.signer.sign({ kind: KINDS.presence, created_at: nowSec, tags: [until, ['d', String(index)]], content: '' });
  const events = await Promise.all(Array.from({ length: BURST }, (_, index) => make(index)));
  await Promise.all(events.map((event) => line.publish(event)));
}
