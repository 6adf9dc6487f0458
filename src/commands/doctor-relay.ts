import { CHUNK_BYTES, CHUNK_EVENT_BYTES } from '../blob/chunk.js';
import type { InformationAnswer } from '../relay/fetch-information.js';
import type { Pubkey } from '../hash.js';
import type { Signer } from '../ports.js';
import type { ProbeFacts, ProbeSteps, StepFacts } from '../relay/probe.js';
import type { Context } from './command.js';
import { fail, ok, warn, type Check } from './doctor-check.js';
import { isCurrent, isSameSoftware, type Knowledge } from './relay-knowledge.js';
import { because, isGood, type RelayFacts } from './relay-verdict.js';

/** Checks of relays and, by them, of the clock. Asking and judging are apart, so that judging is a table. */

const SLOW_MS = 3_000;
/** Of a chunk's event, its content alone: base64 of the sealed chunk. */
const CHUNK_CONTENT_BYTES = Math.ceil((CHUNK_BYTES + 28) / 3) * 4;
/** What a process of ours holds open at once, at least. */
const WANTED_SUBSCRIPTIONS = 10;

export interface Asking {
  /** With it events that expire in a minute are written, read back, and deleted, unless all of that is known. */
  readonly isWriting: boolean;
  /** Who writes: see proberOf. */
  readonly signer: Signer;
  readonly by: Pubkey | null;
  readonly known: Knowledge;
}

/** What it did when it was written to before stands for a week; whether it answers is asked every time. */
export async function askRelay({ deps }: Context, url: string, asking: Asking): Promise<RelayFacts> {
  const nowSec = deps.clock.nowSec();
  const before = asking.known.get(url);
  const { signer, isWriting } = asking;
  if (before === undefined || !isCurrent(before, nowSec, asking.by)) {
    const [answer, probe] = await Promise.all([
      deps.relayInformation(url),
      deps.probeRelay(url, { signer, isWriting }),
    ]);
    return { url, answer, probe, triedAtSec: probe.steps === null ? null : nowSec };
  }
  const answer = await deps.relayInformation(url);
  const isOld = !isSameSoftware(before, answer.information);
  const probe = await deps.probeRelay(url, { signer, isWriting: isWriting && isOld });
  if (isOld || probe.problem !== null) return { url, answer, probe, triedAtSec: probe.steps === null ? null : nowSec };
  const { steps, auth, slower, readProblem } = before.probe;
  const isShut = probe.readProblem?.startsWith('auth-required:') === true;
  return {
    ...{ url, answer, triedAtSec: before.triedAtSec },
    probe: { ...probe, steps, auth, slower, readProblem: isShut ? readProblem : probe.readProblem },
  };
}

/** The own key, unless its owner would have to type or approve something for it: then one that nobody uses again. */
export async function proberOf(deps: Context['deps']): Promise<Pick<Asking, 'signer' | 'by'>> {
  const isAtHand = (await deps.keyReport().catch(() => undefined))?.form === 'plain';
  const own = isAtHand ? await deps.signer({ create: false }) : undefined;
  return { signer: own ?? (await deps.signerFor(deps.random(32))), by: own?.pubkey ?? null };
}

/** Rows of one relay. @param others  does another relay of the settings do it, where this one does not? */
export function judgeRelay(facts: RelayFacts, others: readonly RelayFacts[] = []): readonly Check[] {
  const { url, answer, probe } = facts;
  const name = `relay ${url}`;
  if (probe.problem !== null)
    return [fail(name, `no answer: ${probe.problem}`, `check the address and the network, or ${OTHER}`)];
  const rows = [judgeAuth(`${name} AUTH`, probe), judgeLimits(`${name} limits`, answer)];
  if (probe.steps === null) {
    if (probe.readProblem !== null) return [fail(name, `it does not answer: ${probe.readProblem}`, OTHER), ...rows];
    return [ok(name, `connected in ${probe.connectMs} ms, reads; nothing was written`), ...rows];
  }
  const { event, regular, chunk, wrap, strange, ephemeral } = probe.steps;
  const does = (step: 'chunk' | 'wrap') => others.some(({ probe: { steps } }) => steps !== null && isGood(steps[step]));
  const lacks = (step: 'chunk' | 'wrap') => (does(step) ? warn : fail);
  return [
    judgeEvent(name, facts, [event, regular].find((one) => !isGood(one)) ?? event),
    judgeStep(
      `${name} chunk`,
      chunk,
      `an event of ${CHUNK_EVENT_BYTES} bytes`,
      lacks('chunk'),
      'for datasets and models',
    ),
    judgeStep(`${name} gift wrap`, wrap, 'a sealed message (kind 1059)', lacks('wrap'), 'for grants'),
    judgeStrange(`${name} gift wrap to others`, strange),
    judgeEphemeral(`${name} ephemeral`, ephemeral),
    judgeRate(`${name} rate`, probe.steps, probe.slower),
    judgeDeletion(`${name} deletion`, probe.steps),
    ...rows,
  ];
}

const OTHER = 'use another relay with --relay URL';

function judgeEvent(name: string, { answer }: RelayFacts, step: StepFacts): Check {
  if (step.state === 'silent') return fail(name, `it takes no events: ${step.message}`, OTHER);
  if (step.state === 'refused') {
    const needsAuth = answer.information?.needsAuth === true || /^(auth-required|restricted):/.test(step.message);
    const remedy = needsAuth ? 'ask its operator to admit your key (nmkt whoami)' : 'ask its operator';
    return fail(name, `it refuses events: ${step.message || 'no reason given'}`, `${remedy}, or ${OTHER}`);
  }
  if (!step.isBack) return fail(name, `it took an event and did not give it back${because(step)}`, OTHER);
  const times = `written in ${step.writeMs} ms, read in ${step.readMs} ms`;
  if (Math.max(step.writeMs, step.readMs) > SLOW_MS)
    return warn(name, `slow: ${times}`, `${OTHER}, beside it or instead`);
  const { information, problem } = answer;
  return ok(
    name,
    `${times}, ${information === null ? `no NIP-11 document (${problem})` : information.name || 'no name'}`,
  );
}

function judgeStep(name: string, step: StepFacts, what: string, lacking: typeof fail, purpose: string): Check {
  const remedy = `${OTHER} ${purpose}`;
  if (step.state !== 'stored') return lacking(name, `it does not take ${what}${because(step)}`, remedy);
  if (!step.isBack) return lacking(name, `it took ${what} and did not give it back${because(step)}`, remedy);
  return ok(name, `took ${what} in ${step.writeMs} ms, gave it back in ${step.readMs} ms`);
}

/** What a customer needs to send grants: the recipient reads them, or not, with a key of its own. */
function judgeStrange(name: string, step: StepFacts): Check {
  if (step.state === 'stored') return ok(name, step.isBack ? 'taken, and given to who it was for' : 'taken');
  return warn(name, `it takes none${because(step)}`, 'grants go to the relays that their recipients name (kind 10050)');
}

function judgeRate(name: string, { burst }: ProbeSteps, slower: string | null): Check {
  const remedy = `uploads wait for it; ${OTHER} for large data`;
  const all = `${burst.stored} of ${burst.sent} events at once`;
  if (burst.message !== '') {
    const later = burst.isTakenLater === null ? '' : `, ${burst.isTakenLater ? 'more' : 'none'} a second later`;
    return warn(name, `it took ${all}${later}: ${burst.message}`, remedy);
  }
  if (slower !== null) return warn(name, `it asks to go slower: ${slower}`, remedy);
  return ok(name, `${all} in ${burst.tookMs} ms, no limit met`);
}

function judgeDeletion(name: string, { deletion }: ProbeSteps): Check {
  if (deletion === 'honoured') return ok(name, 'what is deleted (NIP-09) is gone');
  if (deletion === null) return ok(name, 'not seen: nothing was there to delete');
  const remedy = 'nothing has to be done: what is published expires; an earlier end cannot be had here';
  return warn(
    name,
    deletion === 'refused' ? 'it takes no deletions (NIP-09)' : 'it keeps what is deleted (NIP-09)',
    remedy,
  );
}

function judgeEphemeral(name: string, step: StepFacts): Check {
  if (isGood(step)) return ok(name, `passed on in ${step.writeMs + step.readMs} ms`);
  const did =
    step.state === 'stored' ? 'it took an ephemeral event and passed it to nobody' : `it takes none${because(step)}`;
  return warn(name, did, 'run one process for each key: they cannot see each other here');
}

function judgeAuth(name: string, { auth }: ProbeFacts): Check {
  const remedy = `ask its operator to admit your key (nmkt whoami), or ${OTHER}`;
  if (auth === 'refused') return fail(name, 'it demands a login (NIP-42) and refuses it', remedy);
  if (auth === 'demanded') return warn(name, 'it demands a login (NIP-42), not tried', 'run it without --no-probe');
  if (auth === 'accepted') return ok(name, 'demanded (NIP-42), and accepted: the relay knows your key');
  return ok(name, auth === 'offered' ? 'offered (NIP-42), not demanded' : 'not demanded');
}

function judgeLimits(name: string, { information, problem }: InformationAnswer): Check {
  if (information === null) return ok(name, `not said: no NIP-11 document (${problem})`);
  const { maxMessageBytes, maxContentBytes, maxSubscriptions, needsPayment, powBits } = information;
  const small = [
    ...(maxMessageBytes !== null && maxMessageBytes < CHUNK_EVENT_BYTES
      ? [`messages of at most ${maxMessageBytes} bytes, a chunk is ${CHUNK_EVENT_BYTES}`]
      : []),
    ...(maxContentBytes !== null && maxContentBytes < CHUNK_CONTENT_BYTES
      ? [`contents of at most ${maxContentBytes} bytes, that of a chunk is ${CHUNK_CONTENT_BYTES}`]
      : []),
    ...(maxSubscriptions !== null && maxSubscriptions < WANTED_SUBSCRIPTIONS
      ? [`at most ${maxSubscriptions} subscriptions, ${WANTED_SUBSCRIPTIONS} may be needed`]
      : []),
    ...(powBits > 0 ? [`it wants ${powBits} bits of proof of work (NIP-13)`] : []),
    ...(needsPayment ? ['it wants to be paid'] : []),
  ];
  if (small.length > 0) return warn(name, `it says: ${small.join('; ')}`, `${OTHER} if it keeps to that`);
  return ok(name, 'what it says of itself (NIP-11) leaves room for all that is needed');
}

const CLOCK_WARN_SEC = 30;
/** Many relays refuse events from further ahead or behind than some minutes. */
const CLOCK_FAIL_SEC = 300;
const SET_CLOCK = 'set the clock of this machine, for example by NTP';
const BLAMES_CLOCK = /created_at|timestamp|in the (future|past)|too (old|far|new)|expired/i;

/** By the middle one of the relays' clocks; one wrong relay changes nothing among three. */
export function judgeClock(relays: readonly RelayFacts[]): Check {
  const ahead = relays
    .flatMap(({ answer, probe }) => answer.clockAheadSec ?? probe.clockAheadSec ?? [])
    .sort((a, b) => a - b);
  const middle = ahead[Math.floor((ahead.length - 1) / 2)];
  if (middle === undefined) return clockByRefusals(relays);
  const off = Math.abs(Math.round(middle));
  const detail = off < 2 ? 'as the relays' : `${off} s ${middle > 0 ? 'behind' : 'ahead of'} the relays`;
  if (off > CLOCK_FAIL_SEC) return fail('clock', detail, SET_CLOCK);
  return off > CLOCK_WARN_SEC ? warn('clock', detail, SET_CLOCK) : ok('clock', detail);
}

function clockByRefusals(relays: readonly RelayFacts[]): Check {
  const steps = relays.flatMap(({ probe }) => (probe.steps === null ? [] : [probe.steps.event]));
  const blamed = steps.find(({ state, message }) => state === 'refused' && BLAMES_CLOCK.test(message));
  if (steps.some(({ state }) => state === 'stored'))
    return ok('clock', 'no relay tells the time; they accept events of now');
  if (blamed !== undefined) return fail('clock', `a relay refuses events of now: ${blamed.message}`, SET_CLOCK);
  return warn('clock', 'no relay tells the time', 'compare this machine with another clock');
}
