import { isNmktError } from '../../errors.js';
import { sha256Hex, type Bytes, type Sha256 } from '../../hash.js';
import { fitsData } from '../../learning/model-choice.js';
import { modelBytes, modelCost } from '../../learning/model-cost.js';
import { lossPpm } from '../../learning/scoring.js';
import type { DataSchema, Examples } from '../../learning/types.js';
import type { ArenaBlock } from '../../protocol/arena/job.js';
import { WORST_SCORE_PPM } from '../../protocol/arena/scores.js';
import type { Engine } from '../../ports.js';
import { decodeModelFile } from './model-file.js';

/** What a model of a stranger is worth on a set: loss in ppm, of a bit per character for text. Less is better; nothing that it does is an error. */

/** Nats to bits: 1 / ln 2. */
const BITS = 1.4426950408889634;
/** What one model may take to be measured: of memory, and of floating point operations for each example. */
const MAX_MEMORY = 2 ** 31;
const MAX_FLOPS = 2 ** 33;
/** Examples that an engine looks at at once. */
const ROWS = 256;

export interface Measured {
  /** Of the file; null: nothing was opened, or it is larger than the job takes. */
  readonly model: Sha256 | null;
  readonly scorePpm: number;
}

/** @param file  null: it did not open */
export async function scoreModel(
  engine: Engine,
  file: Bytes | null,
  { arena, schema, set }: { readonly arena: ArenaBlock; readonly schema: DataSchema; readonly set: Examples },
): Promise<Measured> {
  if (file === null || file.length > arena.maxModelBytes) return { model: null, scorePpm: WORST_SCORE_PPM };
  const model = sha256Hex(file);
  const worst = { model, scorePpm: WORST_SCORE_PPM };
  try {
    const { spec, params } = decodeModelFile(file);
    if (!arena.models.includes(spec.model) || spec.task !== schema.task || !fitsData(spec, schema)) return worst;
    const cost = modelCost(spec);
    if (modelBytes(cost, ROWS) > MAX_MEMORY || cost.flops > MAX_FLOPS) return worst;
    const { loss } = await engine.evaluate(spec, params, set);
    if (!Number.isFinite(loss)) return worst;
    return { model, scorePpm: Math.min(WORST_SCORE_PPM, lossPpm(schema.text === undefined ? loss : loss * BITS)) };
  } catch (error) {
    if (['bad-blob', 'shape-mismatch', 'too-large', 'diverged'].some((code) => isNmktError(error, code as 'bad-blob')))
      return worst;
    throw error;
  }
}
