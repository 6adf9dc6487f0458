import { CHUNK_EVENT_BYTES } from '../blob/chunk.js';
import type { InformationAnswer } from '../relay/fetch-information.js';
import type { ProbeFacts, ProbeStep, ProbeSteps, StepFacts } from '../relay/probe.js';

/** What a relay is good for, in words, by what it did when it was tried. */

export interface RelayFacts {
  readonly url: string;
  readonly answer: InformationAnswer;
  readonly probe: ProbeFacts;
  /** When it was written to (Unix seconds); null where it was not. */
  readonly triedAtSec: number | null;
}

export interface Verdict {
  readonly use: 'data + jobs' | 'jobs only' | 'inbox only' | 'unusable';
  /** Why no more than that; empty for `data + jobs`. */
  readonly reason: string;
}

export const PROBE_STEP_NAMES = [
  'event',
  'regular',
  'chunk',
  'wrap',
  'strange',
  'ephemeral',
] as const satisfies readonly ProbeStep[];

export const isGood = ({ state, isBack }: StepFacts): boolean => state === 'stored' && isBack;

/** @returns null where nothing was written, so that nothing is known */
export function verdictOf({ answer, probe }: Pick<RelayFacts, 'answer' | 'probe'>): Verdict | null {
  if (probe.problem !== null) return { use: 'unusable', reason: `no answer: ${probe.problem}` };
  if (probe.steps === null)
    return probe.readProblem === null ? null : { use: 'unusable', reason: `it does not answer: ${probe.readProblem}` };
  const noJobs = whyNoJobs(probe.steps, answer);
  if (noJobs !== '')
    return isGood(probe.steps.wrap) ? { use: 'inbox only', reason: noJobs } : { use: 'unusable', reason: noJobs };
  const noData = whyNoData(probe.steps);
  return noData === '' ? { use: 'data + jobs', reason: '' } : { use: 'jobs only', reason: noData };
}

/** Bits of work that a relay's words ask for; null where they ask for none. */
export function powBitsOf(message: string): number | null {
  if (!message.startsWith('pow:')) return null;
  const bits = Number(/\d+/.exec(message)?.[0] ?? 0);
  return Math.min(bits, 256);
}

const work = (message: string): string => {
  const bits = powBitsOf(message) ?? 0;
  return bits === 0 ? 'it wants proof of work' : `it wants ${bits} bits of proof of work`;
};

/** A job is an addressable listing beside regular events. @returns empty where it takes both */
function whyNoJobs({ event, regular }: ProbeSteps, { information }: InformationAnswer): string {
  const no = [event, regular].find(({ state }) => state !== 'stored');
  if (no?.state === 'silent') return `it takes no events: ${no.message}`;
  if (no !== undefined) {
    const refusal = no.message;
    if (powBitsOf(refusal) !== null) return work(refusal);
    if (information?.needsPayment === true) return `it wants to be paid: ${refusal || 'no reason given'}`;
    return `it refuses events: ${refusal || 'no reason given'}`;
  }
  const lost = [event, regular].find(({ isBack }) => !isBack);
  return lost === undefined ? '' : `it took an event and did not give it back${because(lost)}`;
}

function whyNoData({ chunk, burst, takenBytes, refusedBytes }: ProbeSteps): string {
  if (chunk.state !== 'stored') {
    if (powBitsOf(chunk.message) !== null) return `${work(chunk.message)} on a chunk`;
    if (refusedBytes !== null && takenBytes !== null)
      return `it takes events up to ${takenBytes} to ${refusedBytes} bytes, a chunk has ${CHUNK_EVENT_BYTES}`;
    return `it takes no chunk of ${CHUNK_EVENT_BYTES} bytes${because(chunk)}`;
  }
  if (!chunk.isBack) return `it took a chunk and did not give it back${because(chunk)}`;
  if (burst.stored === 0) return `it takes no events of keys of one use, which sign chunks: ${burst.message}`;
  if (burst.isTakenLater === false)
    return `it takes ${burst.stored} of ${burst.sent} events at once, and none a second later`;
  return '';
}

export const because = ({ message }: StepFacts): string => (message === '' ? '' : `: ${message}`);

/** What will not change by trying again soon: work, money, or events that are too small. @returns empty where nothing of it is known */
export function lastingNo({ answer, probe }: Pick<RelayFacts, 'answer' | 'probe'>, use: 'data' | 'jobs'): string {
  if (probe.steps === null) return '';
  const { event, regular, chunk, refusedBytes } = probe.steps;
  const noJobs = whyNoJobs(probe.steps, answer);
  const wantsMoney = answer.information?.needsPayment === true && event.state === 'refused';
  if (noJobs !== '' && (wantsMoney || [event, regular].some(({ message }) => powBitsOf(message) !== null)))
    return noJobs;
  const isLasting = powBitsOf(chunk.message) !== null || (chunk.state !== 'stored' && refusedBytes !== null);
  return use === 'data' && noJobs === '' && isLasting ? whyNoData(probe.steps) : '';
}
