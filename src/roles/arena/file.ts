import { z } from 'zod';
import { ARENA_MODELS } from '../../protocol/arena/job.js';
import { MAX_VALIDATORS } from '../../protocol/validator.js';
import { duration } from '../duration.js';
import { fieldsOf, jobFileSchema, parseFileOf, type JobField } from '../job-file.js';

/** The job file of an arena, in its customer's own units. What it shares with federated jobs means the same there. */

const count = (min: number, max: number) => z.int().min(min).max(max);
const share = z.number().min(0).max(1);

const shared = jobFileSchema.pick({
  title: true,
  dataset: true,
  rail: true,
  payoutFloorSats: true,
  trainerStakeSats: true,
  validatorStakeSats: true,
  delegatedShare: true,
  maxDelegated: true,
  stakeInterval: true,
  keyRelease: true,
  claimWithin: true,
  payWithin: true,
  acceptedEngines: true,
  audit: true,
  access: true,
});

const models = z
  .union([z.array(z.enum(ARENA_MODELS)).min(1), z.string()])
  .transform((value) => (typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value))
  .pipe(z.array(z.enum(ARENA_MODELS)).min(1));

export const arenaFileSchema = shared.extend({
  mode: z.literal('arena').describe('every trainer submits a whole model of its own choice; validators rank them'),
  potSats: count(0, 21e14).default(1_000).describe('what both stages pay together, in sats; 0 with rail none'),
  interim: duration.default('1d').describe('how long submissions to the interim stage are taken'),
  final: duration
    .default('2d')
    .describe('how long submissions to the final stage are taken; from the posting, like interim'),
  interimShare: share.default(0.1).describe('part of the pot that the interim ranking pays'),
  sides: z
    .enum(['fixed', 'byStake'])
    .default('fixed')
    .describe(
      'fixed: validators get validatorShare; byStake: trainers and validators share by their stakes, each at least gamma',
    ),
  validatorShare: share.default(0.2).describe('part of each stage that validators get (sides fixed)'),
  gamma: z.number().min(0).max(0.5).default(0.1).describe('least part of each side (sides byStake)'),
  q: z.number().min(0.000001).max(0.999999).default(0.5).describe('how much less each rank gets than the one above it'),
  bestStakes: count(1, 1_024)
    .optional()
    .describe('pay only the first so many minimum stakes of the ranking; default all'),
  bestValidators: count(1, MAX_VALIDATORS).optional().describe('pay only the best so many validators; default all'),
  lambda: z
    .number()
    .min(0)
    .max(1_000)
    .default(1)
    .describe('how fast pay of validators falls with the distance from the median'),
  seats: count(3, MAX_VALIDATORS)
    .refine((seats) => seats % 2 === 1, 'an odd number')
    .default(7)
    .describe('validators that score each model; of fewer the largest odd number of them, at least 3'),
  submissionsPerDay: count(1, 24).default(2).describe('submissions of a trainer that count in a day'),
  maxModelBytes: count(1_000, 2 ** 32)
    .default(8_000_000)
    .describe('a larger model has the worst score'),
  models: models.default([...ARENA_MODELS]).describe('architectures that trainers may submit'),
  revealTimeout: duration.default('10m').describe('how long each step of a scoring waits: nonces, commitments, scores'),
});
export type ArenaFile = z.output<typeof arenaFileSchema>;
export type ArenaFileInput = z.input<typeof arenaFileSchema>;

/** Field names with their sentence and default, in order. */
export function arenaFields(): JobField[] {
  return fieldsOf(arenaFileSchema, { mode: 'arena' });
}

/** @throws NmktError `bad-job` naming the field, expected and got */
export function parseArenaFile(value: unknown, origin: string): ArenaFile {
  return parseFileOf(
    arenaFileSchema as unknown as z.ZodType<ArenaFile & { epochs?: undefined; localSteps?: undefined }>,
    value,
    origin,
  );
}
