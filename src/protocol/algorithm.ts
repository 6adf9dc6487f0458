import { z } from 'zod';
import { CODECS, type Codec } from '../learning/codec/codec.js';
import { OUTER_DEFAULTS, OUTERS, type Outer, type OuterField } from '../learning/outer/outer.js';
import { decimalText, positive } from './model.js';

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

export const updateCodec: z.ZodType<Codec> = z.object({ name: z.enum(CODECS) });
