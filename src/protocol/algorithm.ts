import { z } from 'zod';
import { CODECS, type Codec } from '../learning/codec/codec.js';
import { OUTERS, type Outer } from '../learning/outer/outer.js';

/** How updates travel and what the next global model is made of: promised in the job, equal for every round. */

export const outerOptimizer: z.ZodType<Outer> = z.object({ name: z.enum(OUTERS) });

export const updateCodec: z.ZodType<Codec> = z.object({ name: z.enum(CODECS) });
