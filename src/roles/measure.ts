import { isNmktError } from '../errors.js';
import { sha256Hex, type Pubkey } from '../hash.js';
import { acceptRound, publicFailure, type Acceptance, type Finding } from '../market/acceptance.js';
import type { RoundState } from '../market/state.js';
import { parameterShapes } from '../learning/params.js';
import { decodeParams } from '../learning/safetensors.js';
import { dropErrorPpm, lossPpm, workScore } from '../learning/scoring.js';
import { decodeUpdate, maxUpdateBytes } from '../learning/codec/codec.js';
import type { Examples, ModelSpec, ParamSet } from '../learning/types.js';
import type { EventOf } from '../protocol/events.js';
import { parseJson } from '../protocol/json.js';
import type { ScoreRow } from '../protocol/score.js';
import { sealedSale, sealedUpdate, type SealedSale, type SealedUpdate } from '../protocol/submission.js';
import type { Engine, Evaluation, Relays, Signer } from '../ports.js';
import type { JobFiles } from './customer-env.js';
import { scoringSamples, type CustomerData } from './customer-data.js';
import { isUnproven } from './missing.js';
import { isOwnTrouble } from './patience.js';
import { fetchBytes, updateLabel } from './round-blobs.js';
import { z } from 'zod';

/** Oversized, diverged or not finite: the worst score, not an error. */
const WORST_PPM = 999_000_000;
/** Hostile plaintext of a reveal; a pointer and a key take less than 30 kB. */
const MAX_SEALED_CHARS = 40_000;

export function measuredPpm(evaluation: Evaluation): number {
  return Number.isFinite(evaluation.loss) ? Math.min(WORST_PPM, lossPpm(evaluation.loss)) : WORST_PPM;
}

export function accuracyPpm(evaluation: Evaluation): number | null {
  return evaluation.accuracy === undefined ? null : Math.round(evaluation.accuracy * 1_000_000);
}

/**
 * What a reveal sealed to the customer.
 *
 * @param peer  of the signer: the trainer, or where that one opens its own, the customer
 * @throws      NmktError `wrong-key`, or RangeError and ZodError for garbage
 */
export async function openSealedUpdate(
  signer: Signer,
  reveal: EventOf<'reveal'>,
  peer: Pubkey = reveal.author,
): Promise<SealedUpdate> {
  return z.decode(sealedUpdate, (await readSealed(signer, reveal, peer)) as z.input<typeof sealedUpdate>);
}

/** The same on rail `key-sale`: what opens the update together with a preimage. */
export async function openSealedSale(
  signer: Signer,
  reveal: EventOf<'reveal'>,
  peer: Pubkey = reveal.author,
): Promise<SealedSale> {
  return z.decode(sealedSale, (await readSealed(signer, reveal, peer)) as z.input<typeof sealedSale>);
}

async function readSealed(signer: Signer, reveal: EventOf<'reveal'>, peer: Pubkey): Promise<unknown> {
  const text = await signer.decrypt(peer, reveal.content.sealed);
  if (text.length > MAX_SEALED_CHARS)
    throw new RangeError(`${text.length} characters sealed, at most ${MAX_SEALED_CHARS}`);
  return parseJson(text);
}

/** By shard. */
export interface OpenedUpdates {
  readonly params: ReadonlyMap<number, ParamSet>;
  readonly findings: ReadonlyMap<number, Finding>;
  readonly sealed: ReadonlyMap<number, SealedUpdate>;
}

export type UpdateKeys = (reveal: EventOf<'reveal'>) => Promise<SealedUpdate>;

/**
 * Opens every update that passed the public rules; what does not open is a finding about its trainer, never an exception.
 *
 * @param base    what they were trained from
 * @param nowSec  what was due for long counts as missing when half of the relays say so
 * @param isStrict  what does not open is an error: it was opened, and paid for, before
 * @param files   keeps what was opened: a trainer that deletes its chunks after the scores cannot stop the round from closing
 */
export async function openUpdates(
  relays: Relays,
  keys: UpdateKeys,
  job: EventOf<'job'>,
  round: RoundState,
  base: ParamSet,
  nowSec: number,
  signal?: AbortSignal,
  files?: JobFiles,
  isStrict = false,
): Promise<OpenedUpdates> {
  const params = new Map<number, ParamSet>();
  const findings = new Map<number, Finding>();
  const sealed = new Map<number, SealedUpdate>();
  const evidence = publicEvidence(job, round);
  for (const [shard, reveal] of round.listedReveals) {
    if (publicFailure(evidence, shard) !== null) continue;
    try {
      const opened = await keys(reveal);
      sealed.set(shard, opened);
      params.set(shard, await openUpdate(relays, opened, job, reveal, base, signal, files));
    } catch (error) {
      if (isStrict || isOwnTrouble(error)) throw error;
      if (isUnproven(error, nowSec - round.revealList!.createdAt)) throw error;
      const rule = isNmktError(error, 'shape-mismatch') ? 'shape' : 'blob';
      findings.set(shard, { rule, detail: (error as Error).message.replace(/[^\x20-\x7e]/g, ' ').slice(0, 300) });
    }
  }
  return { params, findings, sealed };
}

/** Where the home keeps the bytes of an update that was opened. */
export const openedFile = ({ content }: EventOf<'reveal'>) => `opened-${content.updateHash}.bin`;

async function openUpdate(
  relays: Relays,
  { key, pointer }: SealedUpdate,
  job: EventOf<'job'>,
  reveal: EventOf<'reveal'>,
  base: ParamSet,
  signal?: AbortSignal,
  files?: JobFiles,
): Promise<ParamSet> {
  const { codec } = job.content;
  const { round, shard, inline, updateHash } = reveal.content;
  const name = openedFile(reveal);
  const label = updateLabel(job.id, round, shard, reveal.author);
  const kept = await files?.read(name);
  const source = { pointer, inline, key, label };
  const bytes = kept ?? (await fetchBytes(relays, source, maxUpdateBytes(codec, base), signal));
  const got = sha256Hex(bytes);
  if (got !== updateHash)
    throw new RangeError(`the update hashes to ${got.slice(0, 16)}, committed was ${updateHash.slice(0, 16)}`);
  const params = decodeUpdate(codec, base, bytes);
  if (kept === undefined) await files?.write(name, bytes);
  return params;
}

export function publicEvidence(job: EventOf<'job'>, round: RoundState) {
  return {
    job: job.id,
    round: round.round,
    baseHash: round.open.content.base.sha256,
    assigned: round.assigned,
    commits: round.listedCommits,
    reveals: round.listedReveals,
    shownBefore: round.shownBefore,
    residuals: round.residuals,
    codec: job.content.codec,
    lossBeforePpm: round.lossBeforePpm,
    strictLoss: job.content.strictLoss,
    leastWorkPpm: job.content.leastWorkPpm ?? null,
    engine: job.content.spot?.engine ?? null,
    isSale: job.content.rail === 'key-sale',
  };
}

/** Four losses per update, D and E with their errors from them, its loss on set A, and what was repeated of it. */
export async function scoreUpdates(
  engine: Engine,
  data: CustomerData,
  scoring: Uint8Array,
  job: EventOf<'job'>,
  round: RoundState,
  base: ParamSet,
  updates: ReadonlyMap<number, ParamSet>,
  repeated: ReadonlyMap<number, ScoreRow['spot']>,
): Promise<ScoreRow[]> {
  const spec = job.content.model;
  const a = await data.evaluationA();
  const rows: ScoreRow[] = [];
  for (const { trainer, shard } of round.assigned) {
    const params = updates.get(shard);
    const reveal = round.listedReveals.get(shard);
    if (params === undefined || reveal === undefined) continue;
    const { own, other } = await scoringSamples(data, scoring, round.round, shard);
    const measure = (weights: ParamSet, examples: Examples) => engine.evaluate(spec, weights, examples);
    const [ownBefore, ownAfter] = [await measure(base, own), await measure(params, own)];
    const [otherBefore, otherAfter] = [await measure(base, other), await measure(params, other)];
    const [ownBeforePpm, ownAfterPpm] = [measuredPpm(ownBefore), measuredPpm(ownAfter)];
    const [otherBeforePpm, otherAfterPpm] = [measuredPpm(otherBefore), measuredPpm(otherAfter)];
    const { dPpm, ePpm } = workScore(
      { before: ownBeforePpm, after: ownAfterPpm },
      { before: otherBeforePpm, after: otherAfterPpm },
    );
    rows.push({
      submission: reveal.id,
      trainer,
      shard,
      ownBeforePpm,
      ownAfterPpm,
      otherBeforePpm,
      otherAfterPpm,
      ownSePpm: dropErrorPpm(ownBefore.losses, ownAfter.losses),
      otherSePpm: dropErrorPpm(otherBefore.losses, otherAfter.losses),
      dPpm,
      ePpm,
      lossPpm: measuredPpm(await measure(params, a)),
      spot: repeated.get(shard) ?? null,
    });
  }
  return rows;
}

/** The acceptance that the close publishes and every reader recomputes. */
export function judgeRound(
  job: EventOf<'job'>,
  round: RoundState,
  findings: ReadonlyMap<number, Finding>,
  scores: readonly ScoreRow[],
): Acceptance {
  return acceptRound({
    ...publicEvidence(job, round),
    findings,
    scores: new Map(scores.map((row) => [row.shard, row])),
  });
}

export function modelOf(bytes: Uint8Array, spec: ModelSpec): ParamSet {
  return decodeParams(bytes, parameterShapes(spec));
}
