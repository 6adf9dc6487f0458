import { z } from 'zod';
import type { Codec } from '../learning/codec/codec.js';
import { OUTER_DEFAULTS, OUTERS, type Outer, type OuterField } from '../learning/outer/outer.js';
import { decimalText, positive } from './model.js';
import { int } from './scalars.js';

/** How updates travel and what the next global model is made of: promised in the job, equal for every round. */

/** In [0, 1), as a decimal string; `0` is one. */
const part = z.codec(z.string().regex(/^0(\.[0-9]{0,11}[1-9])?$/, 'expected a decimal from 0 to below 1'), z.number(), {
  decode: Number,
  encode: (value) => decimalText(value),
});

const outerFields = {
  learningRate: positive.optional(),
  momentum: part.optional(),
  beta1: part.optional(),
  beta2: part.optional(),
  tau: positive.optional(),
};

/** All that belongs to its name, and nothing else: a job hides no default. */
export const outerOptimizer: z.ZodType<Outer> = z
  .object({ name: z.enum(OUTERS), ...outerFields })
  .refine(
    ({ name, ...fields }) =>
      Object.keys(outerFields).every(
        (field) => (fields[field as OuterField] !== undefined) === field in OUTER_DEFAULTS[name],
      ),
    'exactly the fields that belong to the outer step',
  );

/** In [0, 1], as a decimal string. */
const share = z.codec(z.string().regex(/^(1|0(\.[0-9]{0,11}[1-9])?)$/, 'expected a decimal from 0 to 1'), z.number(), {
  decode: Number,
  encode: (value) => decimalText(value),
});

const topK = z
  .object({
    name: z.literal('topk'),
    chunk: int(2, 65_536),
    keep: int(1, 65_536),
    bits: z.literal([2, 4]),
    feedback: share,
  })
  .refine(({ chunk, keep }) => keep <= chunk, 'keeps at most the whole chunk');

export const updateCodec: z.ZodType<Codec> = z.discriminatedUnion('name', [
  z.object({ name: z.enum(['f32', 'f16', 'int8', 'int4']) }),
  topK,
]);
