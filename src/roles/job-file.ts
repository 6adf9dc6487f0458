import { z } from 'zod';
import { NmktError } from '../errors.js';
import { RULES } from '../learning/aggregate/rule.js';
import { MODEL_NAMES, MODEL_SIZES } from '../learning/model-choice.js';
import { CODEC_PRESETS } from '../learning/codec/codec.js';
import { OUTERS } from '../learning/outer/outer.js';
import { MAX_PROXIMAL, type Rung } from '../learning/types.js';
import { MAX_CHECKPOINTS } from '../protocol/submission.js';
import { MAX_VALIDATORS } from '../protocol/validator.js';
import { duration } from './duration.js';

/** The job file and its flags: what a customer asks for, in its own units (sats, durations as text). */

const count = (min: number, max: number) => z.int().min(min).max(max);
const ENGINES = ['node', 'webgpu', 'wasm', 'cpu'] as const;
const engines = z.union([
  z.array(z.enum(ENGINES)).min(1),
  z
    .string()
    .regex(
      /^(node|webgpu|wasm|cpu)(,(node|webgpu|wasm|cpu))*$/,
      'expected node, webgpu, wasm, cpu, or several with commas',
    ),
]);

export const jobFileSchema = z.strictObject({
  title: z.string().max(200).default('').describe('a line for humans; everybody can read it'),
  dataset: z.string().max(2_000).optional().describe('the dataset: id or naddr; filled in by publish-dataset --job'),
  model: z
    .union([
      z.enum(MODEL_NAMES),
      z
        .string()
        .max(4_096)
        .regex(/\.json$/, `one of ${MODEL_NAMES.join(', ')}, or the path of a LayersModel that ends in .json`),
    ])
    .optional()
    .describe(
      'logreg: one layer; mlp: dense layers with relu (default for tables); cnn (images); gpt, lstm (text); or the model.json of a Sequential model of TensorFlow.js or Keras',
    ),
  size: z.enum(MODEL_SIZES).default('nano').describe('of cnn, gpt and lstm: nano, micro, mini, small'),
  hidden: z.array(count(1, 65_536)).max(16).default([128]).describe('widths of the hidden layers (mlp)'),
  rounds: count(1, 10_000).default(5).describe('how often updates are collected, paid and averaged'),
  trainers: count(1, 1_024).optional().describe('seats; each gets one shard; default: the shards of the dataset'),
  shardsPerTrainer: count(1, 1_024)
    .default(1)
    .describe('most shards of one trainer, where fewer bid, or at less than half the price; attackers counts updates'),
  epochs: count(1, 1_000).optional().describe('passes over the shard per round (default 2); excludes localSteps'),
  localSteps: count(1, 1_000_000).optional().describe('batches per round instead of epochs'),
  batch: count(1, 65_536).default(32).describe('examples per step'),
  optimizer: z
    .enum(['adam', 'adamw', 'sgd', 'momentum'])
    .default('adam')
    .describe('of the trainers; its state starts fresh each round'),
  learningRate: z.number().positive().max(100).default(0.001).describe('of the optimizer'),
  momentum: z
    .number()
    .positive()
    .lt(1)
    .optional()
    .describe('share of the velocity that is kept (momentum); default 0.9'),
  weightDecay: z
    .number()
    .positive()
    .max(100)
    .optional()
    .describe('how much weights shrink, times the learning rate (adamw); default 0.01'),
  clipNorm: z.number().positive().max(1e6).optional().describe('gradients longer than this are shortened to it'),
  proximal: z
    .number()
    .positive()
    .max(MAX_PROXIMAL)
    .optional()
    .describe('FedProx: how hard each step is pulled back to the model of the round (mu), such as 0.01; default not'),
  warmupSteps: count(0, 1_000_000).default(0).describe('steps of each round over which the learning rate rises'),
  decay: z
    .enum(['none', 'cosine'])
    .default('none')
    .describe('cosine: the learning rate falls towards 0 by the end of each round'),
  aggregation: z
    .enum(RULES)
    .optional()
    .describe('how accepted updates become one model; default fedavg, from 5 trainers on norm-clip'),
  attackers: count(0, 1_024)
    .optional()
    .describe(
      'dishonest updates the rule is to withstand (trimmed-mean, krum, multi-krum, bulyan; without a rule multi-krum); default 3 of 10',
    ),
  outer: z
    .enum(OUTERS)
    .default('none')
    .describe('the step from a round’s base towards that model; none: take it; diloco: Nesterov momentum over rounds'),
  outerLearningRate: z.number().positive().max(100).optional().describe('of the outer step; default its paper’s'),
  outerMomentum: z.number().min(0).lt(1).optional().describe('of fedavgm and diloco; default 0.9'),
  outerBeta1: z.number().min(0).lt(1).optional().describe('of fedadam and fedyogi; default 0.9'),
  outerBeta2: z.number().min(0).lt(1).optional().describe('of fedadam and fedyogi; default 0.99'),
  outerTau: z.number().positive().max(1).optional().describe('of fedadagrad, fedadam and fedyogi; default 0.001'),
  codec: z
    .enum(Object.keys(CODEC_PRESETS) as (keyof typeof CODEC_PRESETS)[])
    .optional()
    .describe(
      'how updates travel: f32 (whole models), f16, int8, int4 (changes in fewer bits), topk or sparseloco (the largest changes, the rest later); default int4, of gpt and lstm sparseloco',
    ),
  keep: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe('share of the changes that is sent (topk, sparseloco); default 0.03 and 0.03125'),
  feedback: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('share of what was left out that is sent later (topk, sparseloco); default 1 and 0.95'),
  maxPriceSats: count(0, 21e14).default(300).describe('ceiling: sats per accepted round and shard'),
  validators: count(0, MAX_VALIDATORS)
    .default(0)
    .describe('seats of validators, whose median score decides what is accepted; 0: the customer alone measures'),
  validatorFeeSats: count(0, 21e14)
    .default(0)
    .describe('what each validator gets per round whose scores it revealed, in sats'),
  budgetSats: count(0, 21e14)
    .optional()
    .describe(
      'most the job may cost in sats; default rounds x (trainers x maxPriceSats + validators x validatorFeeSats)',
    ),
  rail: z
    .enum(['instalments', 'key-sale', 'none'])
    .default('instalments')
    .describe(
      'instalments: pay each round after its acceptance; key-sale: a payment gives the key to an update, which validators score; none: a free job',
    ),
  payoutFloorSats: count(0, 21e14)
    .optional()
    .describe('smallest payment worth its fees; default 0 on the sandbox, 200 elsewhere'),
  award: z
    .enum(['full', 'deadline', 'manual'])
    .default('full')
    .describe(
      'full: as soon as every seat has a bid; deadline: after the bid window; manual: you name the winners (nmkt award)',
    ),
  bids: z
    .enum(['open', 'sealed'])
    .default('open')
    .describe('sealed: only you read what others bid, until your award opens it'),
  payment: z
    .enum(['pay-as-bid', 'uniform'])
    .default('pay-as-bid')
    .describe(
      'uniform (with bids sealed, award deadline): each winner gets the most it could have asked, so that asking what the work costs is best',
    ),
  newKeyShare: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'most seats of trainers that this customer never paid, as a share, rounded up; default 1, and 0.5 for paid jobs of a customer that paid before, but on the sandbox',
    ),
  bidWindow: duration.default('60s').describe('how long bids are collected, from when the customer serves the job'),
  readyTimeout: duration.default('2m').describe('how long a winner may take to open its shard'),
  roundTimeout: duration.default('15m').describe('how long a round waits for updates'),
  revealTimeout: duration.default('2m').describe('how long it then waits for the reveals'),
  disputeTimeout: duration
    .default('2m')
    .describe(
      'how long each step may take where a trainer disputes that it is a fraud and a validator repeats its segment (with validators and spot checks)',
    ),
  claimWithin: duration.default('7d').describe('how long a trainer may take to send an invoice'),
  payWithin: duration.default('10m').describe('how soon after a valid invoice the customer pays'),
  deadline: duration.default('2h').describe('from now: without an award by then the job lapses'),
  quorum: count(1, 1_024)
    .optional()
    .describe('accepted updates that make a round count; default two thirds of the trainers'),
  maxReplacements: count(0, 1_024).default(2).describe('how many spares may take over a shard'),
  maxHolders: count(1, 16).default(2).describe('how many trainers may ever get the key to one shard'),
  keyRelease: z
    .enum(['open', 'known', 'staked'])
    .default('open')
    .describe(
      'known: only trainers that this customer paid before, in the same home, get a shard; staked: only those that locked a stake',
    ),
  trainerStakeSats: count(0, 21e14)
    .default(0)
    .describe('own stake that a trainer has to lock for this job, in sats; what a proven fraud loses'),
  validatorStakeSats: count(0, 21e14)
    .default(0)
    .describe('own stake that a validator has to lock; seats of each round are then drawn by stake'),
  delegatedShare: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('how much a sat that somebody else staked behind a key counts (nmkt delegate)'),
  maxDelegated: count(0, 1_000).default(4).describe('up to how many times its own stake that behind a key counts'),
  stakeInterval: duration.default('1h').describe('how often stakes are counted; delegators share by time in it'),
  minBidPow: count(0, 64)
    .default(0)
    .describe(
      'proof of work on a bid, in zero bits of its id (NIP-13): 20 are some seconds; keeps floods of bids away',
    ),
  acceptedEngines: engines.default('wasm').describe('engines a trainer may use; wasm and cpu repeat bit by bit'),
  verification: z
    .enum(['spot', 'floor'])
    .optional()
    .describe(
      'spot: drawn segments of the training are repeated on the same engine; floor: only the effect is measured; default spot where acceptedEngines is wasm or cpu alone',
    ),
  spotRate: z
    .number()
    .min(0)
    .max(1)
    .default(0.333)
    .describe('how likely an update is repeated in part (spot); the first ones of a trainer always are'),
  segments: count(1, MAX_CHECKPOINTS + 1)
    .default(8)
    .describe('parts of a training, of which one is repeated (spot)'),
  strictLoss: z
    .boolean()
    .default(false)
    .describe('also apply the loss tests of FEDSTR; they reject honest work on unequal shards'),
  leastWork: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'share of the median loss drop of its round that every update is to reach, within its error, and half of it of how much more it helps its shard than other data; 0: only that it does so; default 0.5 from three trainers on, 0 where shards have fewer than 30 examples or epochs make trainings of very unequal length',
    ),
  audit: z
    .enum(['granted', 'open'])
    .default('granted')
    .describe('granted: audit keys go to whom you give them; open: published'),
  access: z
    .enum(['customer', 'open'])
    .default('customer')
    .describe('open: the key to the finished model is published with it'),
});
export type JobFile = z.output<typeof jobFileSchema>;
export type JobFileInput = z.input<typeof jobFileSchema>;

/** Field names with their sentence and default, in order: `post-job --print-defaults`. */
export function jobFields(): JobField[] {
  return fieldsOf(jobFileSchema, {});
}

export interface JobField {
  readonly name: string;
  readonly fallback: unknown;
  readonly about: string;
}

/** @param least  what has no default */
export function fieldsOf(schema: z.ZodObject, least: Readonly<Record<string, unknown>>): JobField[] {
  const defaults = schema.parse(least);
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    fallback: defaults[name] ?? null,
    about: (field as z.ZodType).description ?? '',
  }));
}

/** @throws NmktError `bad-job` naming the field, expected and got */
export function parseJobFile(value: unknown, origin: string): JobFile {
  return parseFileOf(jobFileSchema, value, origin);
}

/** As `parseJobFile`, of a job of another kind. */
export function parseFileOf<F extends Pick<JobFile, 'epochs' | 'localSteps'>>(
  schema: z.ZodType<F>,
  value: unknown,
  origin: string,
): F {
  const result = schema.safeParse(value);
  const fail = (expected: string, got: string): never => {
    throw new NmktError('bad-job', `${origin} is not usable`, {
      expected,
      got,
      remedy: 'nmkt post-job --print-defaults',
    });
  };
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const path = issue.path.join('.') || 'fields';
    const found =
      issue.code === 'unrecognized_keys'
        ? issue.keys.join(', ')
        : describe((value as Record<string, unknown> | null)?.[String(issue.path[0])]);
    return fail(
      `${path}: ${issue.code === 'unrecognized_keys' ? 'known fields only' : wanted(issue.message)}`,
      found.slice(0, 100),
    );
  }
  const job = result.data;
  if (job.epochs !== undefined && job.localSteps !== undefined) return fail('epochs or localSteps', 'both');
  return job;
}

/** The schema library opens with what went wrong and ends with a type; here value and remedy stand beside it. */
function wanted(message: string): string {
  return message.replace(/^(Invalid \w+|Too \w+): expected /, '').replace(/, received .*$/, '');
}

/** Lists of lists by their kind only: the JSON of deep ones ends the stack. */
function describe(value: unknown): string {
  if (Array.isArray(value) && value.some((item) => typeof item === 'object')) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? 'an object'
    : (JSON.stringify(value) ?? 'nothing');
}

/** Equal bytes need one engine that repeats. @throws NmktError `bad-job` when it is asked for where it cannot work */
export function hasSpotChecks(job: Pick<JobFile, 'verification' | 'acceptedEngines'>): boolean {
  const accepted = enginesOf(job);
  const canRepeat = accepted.length === 1 && repeats(accepted[0]!);
  if (job.verification === 'spot' && !canRepeat)
    throw new NmktError('bad-job', 'spot checks need one engine that repeats bit by bit', {
      expected: 'acceptedEngines wasm, or cpu alone',
      got: accepted.join(','),
      remedy: '--accepted-engines wasm, or --verification floor',
    });
  return job.verification === 'spot' || (job.verification === undefined && canRepeat);
}

/** Native libraries and GPUs promise results within a tolerance only. */
export function repeats(rung: Rung): boolean {
  return rung === 'wasm' || rung === 'cpu';
}

export function enginesOf(job: Pick<JobFile, 'acceptedEngines'>): Rung[] {
  const list = typeof job.acceptedEngines === 'string' ? job.acceptedEngines.split(',') : job.acceptedEngines;
  return ENGINES.filter((engine) => list.includes(engine));
}
