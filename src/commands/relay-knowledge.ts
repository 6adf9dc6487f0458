import type { Home } from '../config/home.js';
import type { Pubkey } from '../hash.js';
import type { RelayInformation } from '../relay/fetch-information.js';
import { PROBE_STEP_NAMES, type RelayFacts } from './relay-verdict.js';

/**
 * What this home found out about relays, kept so that they are not written to at every look. It is advice: a relay that was
 * fine may have changed, so only a no out of it is ever acted on, and a user can have it tried anew.
 */

export interface KnownRelay extends RelayFacts {
  readonly triedAtSec: number;
  /** Who wrote: relays know some keys and not others. Null for a key of one use. */
  readonly by: Pubkey | null;
}

const FILE = 'relay-knowledge.json';
const VERSION = 1;
const MAX_RELAYS = 256;
const MAX_AGE_SEC = 7 * 86_400;

export type Knowledge = ReadonlyMap<string, KnownRelay>;

/** By URL. What is damaged or of another version is as good as nothing. */
export async function readKnowledge(home: Home): Promise<Knowledge> {
  const bytes = await home.readFile(FILE);
  if (bytes === undefined) return new Map();
  try {
    const { version, relays } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
    if (version !== VERSION || !Array.isArray(relays) || !relays.every(isKnownRelay)) return new Map();
    return new Map(relays.map((one) => [one.url, one]));
  } catch {
    return new Map();
  }
}

/** Adds to what is kept; beyond 256 relays the oldest go. Another process may do the same: then one of both is kept. */
export async function keepKnowledge(home: Home, found: readonly KnownRelay[]): Promise<void> {
  if (found.length === 0) return;
  const all = new Map([...(await readKnowledge(home)), ...found.map((one) => [one.url, one] as const)]);
  const relays = [...all.values()].sort((a, b) => b.triedAtSec - a.triedAtSec).slice(0, MAX_RELAYS);
  await home.writeFile(FILE, JSON.stringify({ version: VERSION, relays }));
}

/** @param by  who asks now */
export function isCurrent(known: KnownRelay, nowSec: number, by: Pubkey | null): boolean {
  const ageSec = nowSec - known.triedAtSec;
  return ageSec >= 0 && ageSec <= MAX_AGE_SEC && known.by === by;
}

/** Does the relay say that it is still the same software? One that says nothing counts as the same. */
export function isSameSoftware(known: KnownRelay, now: RelayInformation | null): boolean {
  const before = known.answer.information;
  return before === null || now === null || (before.software === now.software && before.version === now.version);
}

type Kind = 'text' | 'number' | 'flag' | 'maybe-text' | 'maybe-number' | 'maybe-flag';

const isOf = (value: unknown, kind: Kind): boolean =>
  (kind.startsWith('maybe-') && value === null) ||
  (kind.endsWith('text') && typeof value === 'string') ||
  (kind.endsWith('number') && typeof value === 'number' && Number.isFinite(value)) ||
  (kind.endsWith('flag') && typeof value === 'boolean');

const has = (value: unknown, fields: Readonly<Record<string, Kind>>): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(fields).every(([name, kind]) => isOf((value as Record<string, unknown>)[name], kind));

function isKnownRelay(value: unknown): value is KnownRelay {
  if (!has(value, { url: 'text', triedAtSec: 'number', by: 'maybe-text' })) return false;
  const { answer, probe } = value;
  return (
    has(answer, { problem: 'text', clockAheadSec: 'maybe-number' }) &&
    (answer['information'] === null || isInformation(answer['information'])) &&
    has(probe, {
      ...{ problem: 'maybe-text', connectMs: 'number', clockAheadSec: 'maybe-number', auth: 'text' },
      ...PROBE_WORDS,
    }) &&
    isSteps(probe['steps'])
  );
}

const PROBE_WORDS = { slower: 'maybe-text', readProblem: 'maybe-text' } as const;
const ANSWERED = { state: 'text', message: 'text', isBack: 'flag', writeMs: 'number', readMs: 'number' } as const;

const isInformation = (value: unknown): boolean =>
  has(value, {
    ...{ name: 'text', software: 'text', version: 'text', needsAuth: 'flag', needsPayment: 'flag', powBits: 'number' },
    ...{ maxMessageBytes: 'maybe-number', maxContentBytes: 'maybe-number', maxSubscriptions: 'maybe-number' },
  });

/** Of what was written to: nothing else is kept. */
const isSteps = (value: unknown): boolean =>
  has(value, {
    ...{ takenBytes: 'maybe-number', refusedBytes: 'maybe-number', deletion: 'maybe-text' },
    ...{ loginToRead: 'flag', loginToWrite: 'flag' },
  }) &&
  PROBE_STEP_NAMES.every((name) => has(value[name], ANSWERED)) &&
  has(value['burst'], {
    ...{ sent: 'number', stored: 'number', tookMs: 'number', message: 'text', isTakenLater: 'maybe-flag' },
  });
