import { isNmktError } from '../errors.js';
import type { Progress } from '../ports.js';
import type { HomeFiles } from './home-files.js';

/** How relays treated the chunks of this home so far: what they took and gave, and what they had said to have and did not. */

export interface RelayScore {
  /** Chunks that it took or gave. */
  readonly kept: number;
  /** Chunks that it refused, or did not answer about. */
  readonly failed: number;
  /** Chunks that it had stored and did not give back, or gave in another form. */
  readonly lost: number;
  /** Unix seconds. */
  readonly seenAt: number;
}
export type RelayScores = ReadonlyMap<string, RelayScore>;
export interface Observation extends Omit<RelayScore, 'seenAt'> {
  readonly relay: string;
}

const FILE = 'relay-scores.json';
const MAX_RELAYS = 256;
/** Above this all counts are halved: what happened long ago counts less and less. */
const MAX_COUNT = 10_000;
/** A chunk lost is worse than one refused: somebody relied on it. */
const LOST_WEIGHT = 10;

/** In (0, 1): the part of chunks that came to good, one half of a relay that nobody knows. */
export function scoreOf(score: Pick<RelayScore, 'kept' | 'failed' | 'lost'> | undefined): number {
  const { kept, failed, lost } = score ?? { kept: 0, failed: 0, lost: 0 };
  return (kept + 1) / (kept + failed + LOST_WEIGHT * lost + 2);
}

/** The best first; equals stay in their order. Nobody is left out. */
export function bestFirst(relays: readonly string[], scores: RelayScores): readonly string[] {
  return relays
    .map((relay) => ({ relay, score: scoreOf(scores.get(relay)) }))
    .sort((a, b) => b.score - a.score)
    .map(({ relay }) => relay);
}

/** Of more than 256 relays those seen longest ago go. */
export function observed(scores: RelayScores, observations: readonly Observation[], nowSec: number): RelayScores {
  const next = new Map(scores);
  for (const { relay, ...more } of observations) {
    const old = next.get(relay);
    const sum = {
      kept: (old?.kept ?? 0) + more.kept,
      failed: (old?.failed ?? 0) + more.failed,
      lost: (old?.lost ?? 0) + more.lost,
    };
    const halvings = Math.max(0, Math.ceil(Math.log2((sum.kept + sum.failed + sum.lost) / MAX_COUNT)));
    const part = 2 ** -halvings;
    next.set(relay, { kept: sum.kept * part, failed: sum.failed * part, lost: sum.lost * part, seenAt: nowSec });
  }
  const newest = [...next].sort(([, a], [, b]) => b.seenAt - a.seenAt).slice(0, MAX_RELAYS);
  return new Map(newest);
}

/** Nothing known where the file is absent or damaged: it only makes things faster. */
export async function readRelayScores(
  files: Pick<HomeFiles, 'readJson' | 'describe'>,
  progress?: Pick<Progress, 'warn'>,
): Promise<RelayScores> {
  const kept = await files.readJson<unknown>(FILE).catch((error: unknown) => {
    if (isNmktError(error)) return 'damaged';
    throw error;
  });
  if (kept === undefined) return new Map();
  const relays = typeof kept === 'object' && kept !== null && 'relays' in kept ? kept.relays : undefined;
  if (Array.isArray(relays) && relays.length <= MAX_RELAYS && relays.every(isEntry)) return new Map(relays);
  progress?.warn(`${files.describe(FILE)} is damaged: what is known of relays begins anew`);
  return new Map();
}

/** Of two processes at once the later one wins, and what the other saw is seen again another time. */
export async function noteRelays(
  files: HomeFiles,
  observations: readonly Observation[],
  nowSec: number,
  progress: Pick<Progress, 'warn'>,
): Promise<void> {
  const scores = observed(await readRelayScores(files, progress), observations, nowSec);
  await files.write(FILE, JSON.stringify({ v: 1, relays: [...scores] }));
}

function isEntry(value: unknown): value is [string, RelayScore] {
  if (!Array.isArray(value) || typeof value[0] !== 'string') return false;
  const { kept, failed, lost, seenAt } = (value[1] ?? {}) as Record<string, unknown>;
  return [kept, failed, lost, seenAt].every((one) => typeof one === 'number' && Number.isFinite(one) && one >= 0);
}

/** Relays that lost chunks of this home before. */
export async function warnOfLosers(
  relays: readonly string[],
  { files, progress }: { readonly files: HomeFiles; readonly progress: Pick<Progress, 'warn'> },
): Promise<void> {
  const scores = await readRelayScores(files, progress);
  for (const relay of relays) {
    const lost = Math.ceil(scores.get(relay)?.lost ?? 0);
    if (lost > 0)
      progress.warn(
        `${relay} lost ${lost} ${lost === 1 ? 'chunk' : 'chunks'} of this home before: do not count on it alone`,
      );
  }
}
