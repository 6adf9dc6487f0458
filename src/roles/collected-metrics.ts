import { isNmktError } from '../errors.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import type { CustomerEnv } from './customer-env.js';
import { metricsOfLoss, moreMetrics, type MoreMetrics } from './model-metrics.js';

/** Of the job in the home: measured once, told again by every later run. */
const FILE = 'metrics.json';

interface Kept {
  /** SHA-256 of the weights. */
  readonly weights: string;
  readonly metrics: MoreMetrics;
}

/**
 * What there is to say of a finished model beside the loss and the accuracy that its customer signed: measured here, on evaluation
 * set B. For information: nothing that is accepted or paid depends on it, and where it cannot be measured it is left out.
 */
export async function collectedMetrics(
  env: Pick<CustomerEnv, 'files' | 'engine' | 'data' | 'progress' | 'signal'>,
  state: JobState,
  params: ParamSet,
): Promise<MoreMetrics> {
  const { model: spec, schema, weights } = state.artifact!.content;
  const file = await env.files.read(FILE);
  const kept = file === undefined ? undefined : (JSON.parse(Buffer.from(file).toString('utf8')) as Kept);
  if (kept?.weights === weights.sha256) return kept.metrics;
  const asked = { engine: () => env.engine(), examples: () => env.data.evaluationB(), loss: signedLoss(state) };
  try {
    const metrics = await moreMetrics(asked, { spec, weights: params }, schema);
    const text = JSON.stringify({ weights: weights.sha256, metrics } satisfies Kept);
    await env.files.write(FILE, Buffer.from(text));
    return metrics;
  } catch (error) {
    if (!isNmktError(error) || error.code === 'interrupted' || env.signal.aborted) throw error;
    env.progress.warn(`metrics beside loss and accuracy are left out: ${error.message}`);
    return metricsOfLoss(schema, asked.loss);
  }
}

/** Of whoever has no evaluation set: what follows from the signed loss alone. */
export function publicMetrics(state: JobState): MoreMetrics {
  return metricsOfLoss(state.artifact!.content.schema, signedLoss(state));
}

function signedLoss(state: JobState): number {
  return state.artifact!.content.lossPpm / 1_000_000;
}
