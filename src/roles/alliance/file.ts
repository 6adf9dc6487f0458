import { z } from 'zod';
import { RULES } from '../../learning/aggregate/rule.js';
import { MAX_ALLIANCE_ROUNDS, MAX_MEMBERS } from '../../protocol/alliance/job.js';
import { duration } from '../duration.js';
import { fieldsOf, jobFileSchema, parseFileOf, type JobField } from '../job-file.js';

/** The job file of an alliance, in its customer's own units. What it shares with federated jobs means the same there. */

const count = (min: number, max: number) => z.int().min(min).max(max);

const shared = jobFileSchema.pick({
  title: true,
  model: true,
  size: true,
  hidden: true,
  epochs: true,
  localSteps: true,
  batch: true,
  optimizer: true,
  learningRate: true,
  momentum: true,
  weightDecay: true,
  clipNorm: true,
  proximal: true,
  warmupSteps: true,
  decay: true,
  attackers: true,
  rail: true,
  payoutFloorSats: true,
  trainerStakeSats: true,
  delegatedShare: true,
  maxDelegated: true,
  stakeInterval: true,
  roundTimeout: true,
  revealTimeout: true,
  claimWithin: true,
  payWithin: true,
  deadline: true,
  acceptedEngines: true,
});

export const allianceFileSchema = shared.extend({
  mode: z.literal('alliance').describe('members train on data of their own; drawn proposers, drawn voters'),
  rounds: count(1, MAX_ALLIANCE_ROUNDS).default(5).describe('draws of proposers and voters, each paid its part'),
  aggregation: z
    .enum(RULES.filter((rule) => rule !== 'fltrust'))
    .default('median')
    .describe('how proposals become one model; all weigh alike'),
  potSats: count(0, 21e14).default(1_000).describe('what all rounds pay together, in sats; 0 with rail none'),
  proposers: count(1, MAX_MEMBERS)
    .optional()
    .describe('how many propose in a round; default half of those that joined'),
  minVoters: count(1, MAX_MEMBERS).default(3).describe('fewer voters decide nothing: the round is passed over'),
  members: count(2, MAX_MEMBERS)
    .optional()
    .describe('the first round opens as soon as so many have joined; default when the joinWindow is over'),
  joinWindow: duration.default('60s').describe('how long members are collected, from when the customer serves the job'),
  tolerance: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe('a loss higher by less than this share is no reason against an aggregate; 0: it has to be lower'),
  allianceSlash: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      'share of its stake that a voter loses in each round in which most stake voted otherwise, a tenth of it to who reports it, the rest ' +
        'to the others that worked; 0: none. Honest minorities lose by it: their data may differ',
    ),
  voteTimeout: duration.default('5m').describe('how long a round waits for votes'),
});
export type AllianceFile = z.output<typeof allianceFileSchema>;
export type AllianceFileInput = z.input<typeof allianceFileSchema>;

/** Field names with their sentence and default, in order. */
export function allianceFields(): JobField[] {
  return fieldsOf(allianceFileSchema, { mode: 'alliance' });
}

/** @throws NmktError `bad-job` naming the field, expected and got */
export function parseAllianceFile(value: unknown, origin: string): AllianceFile {
  return parseFileOf(allianceFileSchema, value, origin);
}
