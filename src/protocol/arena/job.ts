import { z } from 'zod';
import { eventType } from '../envelope.js';
import { evaluationSet, stakeTerms } from '../job.js';
import { KINDS } from '../kinds.js';
import { NETWORKS } from '../network.js';
import { eventId, int, msat, relayUrl, sha256Hex, text, unixSec } from '../scalars.js';
import { MAX_VALIDATORS } from '../validator.js';

/**
 * An arena: every trainer sees the training data and submits a whole model, validators rank them, the pot is split (AIArena, arXiv:2412.14566).
 * A schema and a phase of its own: whoever reads federated jobs refuses the event, and cannot take it for one.
 */

const ppm = int(0, 1_000_000);

export const ARENA_MODELS = ['logreg', 'mlp', 'cnn', 'gpt', 'lstm', 'sequential'] as const;

const sides = z.discriminatedUnion('sides', [
  z.object({ sides: z.literal('fixed'), validatorSharePpm: ppm }),
  z.object({ sides: z.literal('byStake'), gPpm: int(0, 500_000) }),
]);

/** How the pot falls into stages, sides and shares, and how models are scored; what the names mean, src/market/arena says. */
const arenaBlock = z.object({
  potMsat: msat,
  sides,
  /** What the interim ranking pays of the pot. */
  interimSharePpm: ppm,
  /** q. */
  qPpm: int(1, 999_999),
  /** k1; null: all. */
  bestStakes: int(1, 1_024).nullable(),
  /** k2; null: all. */
  bestValidators: int(1, MAX_VALIDATORS).nullable(),
  lambdaPpm: int(0, 1_000_000_000),
  /** m: of each submission, odd. */
  seats: int(3, MAX_VALIDATORS).refine((seats) => seats % 2 === 1, 'an odd number of seats'),
  /** Of one trainer. A day is as many intervals of stake tables as begin in it. */
  submissionsPerDay: int(1, 24),
  /** Of the bytes of a model; a larger one has the worst score. */
  maxModelBytes: int(1, 2 ** 40),
  models: z
    .array(z.enum(ARENA_MODELS))
    .min(1)
    .max(ARENA_MODELS.length)
    .refine((models) => new Set(models).size === models.length, 'no model twice'),
  /** Until when submissions to the interim and to the final stage count. */
  interimUntil: unixSec,
  finalUntil: unixSec,
});
export type ArenaBlock = z.output<typeof arenaBlock>;

export const arenaTerms = z
  .object({
    title: text(200),
    mode: z.literal('arena'),
    dataset: eventId,
    /** Of the interim stage. */
    evalA: evaluationSet,
    /** Of the final one. */
    evalB: evaluationSet,
    arena: arenaBlock,
    network: z.enum(NETWORKS),
    rail: z.enum(['instalments', 'none']),
    payoutFloorMsat: msat,
    /** For each step of a scoring: nonces, commitments to scores, scores. */
    revealTimeoutSec: int(1, 31_536_000),
    claimWithinSec: int(1, 31_536_000),
    payWithinSec: int(1, 31_536_000),
    /** Who gets the training data. */
    keyRelease: z.enum(['open', 'known', 'staked']),
    stake: stakeTerms.optional(),
    /** Of validators. */
    acceptedEngines: z
      .array(z.enum(['node', 'webgpu', 'wasm', 'cpu']))
      .min(1)
      .max(4),
    /** SHA-256(s_0) of the hash chain that draws reveal. */
    chainCommitment: sha256Hex,
    audit: z.enum(['granted', 'open']),
    access: z.enum(['customer', 'open']),
    relays: z.array(relayUrl).min(1).max(12),
  })
  .refine(({ arena }) => arena.interimUntil < arena.finalUntil, 'an interim stage that ends before the final one')
  .refine(({ rail, arena }) => rail !== 'none' || arena.potMsat === 0n, 'rail none has no pot')
  .refine(({ rail, stake }) => stake === undefined || rail !== 'none', 'stake with a rail that pays')
  .refine(({ keyRelease, stake }) => keyRelease !== 'staked' || stake !== undefined, 'keyRelease staked with stake');
export type ArenaTerms = z.output<typeof arenaTerms>;

export const ARENA_JOB = eventType('arena-job', KINDS.job, 'arena', arenaTerms);
