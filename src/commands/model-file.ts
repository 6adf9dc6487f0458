import type { JobFile } from '../roles/job-file.js';
import type { Context } from './command.js';
import { readLayersFile } from '../training/layers-file.js';

/** The file that `model` of a job names; undefined for a model by its name. */
export async function readModelOf({
  model,
}: Pick<JobFile, 'model'>): Promise<{ readonly path: string; readonly content: unknown } | undefined> {
  return model?.endsWith('.json') ? { path: model, content: await readLayersFile(model) } : undefined;
}

/** For a job: everybody derives the first weights from its seed, so those beside the file stay at home. */
export async function layersModelOf(job: Pick<JobFile, 'model'>, { progress }: Context): Promise<unknown> {
  const file = await readModelOf(job);
  const hasWeights = typeof file?.content === 'object' && file.content !== null && 'weightsManifest' in file.content;
  if (hasWeights) progress.note(`a job starts from its seed: the weights beside ${file.path} are not used`);
  return file?.content;
}
