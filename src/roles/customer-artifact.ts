import { NmktError } from '../errors.js';
import { fromHex } from '../hash.js';
import { acceptedRounds, type JobState } from '../market/state.js';
import { buildArtifactListing } from '../protocol/artifact.js';
import type { CustomerEnv } from './customer-env.js';
import { loadModel } from './customer-models.js';
import { accuracyPpm, measuredPpm } from './measure.js';
import { artifactLabel, blobSecrets, chunkExpiry, publishParams } from './round-blobs.js';

/** The finished model: its artifact event, then its listing. */

export async function publishModel(env: CustomerEnv, state: JobState): Promise<void> {
  const job = state.job!;
  const params = await loadModel(env, state, state.modelHash!);
  const engine = await env.engine();
  const measured = await engine.evaluate(job.content.model, params, await env.data.evaluationB());
  const { pointer, inline } = await publishParams(
    env.relays,
    params,
    {
      secret: fromHex(env.secrets.blobs),
      purpose: 'artifact',
      index: 0,
      label: artifactLabel(job.id),
      dateSec: job.createdAt,
      expirationSec: chunkExpiry(job.content.deadline) + 365 * 86_400,
    },
    env.signal,
  );
  const trainers = [...new Set(state.rounds.flatMap((round) => round.assigned.map((seat) => seat.trainer)))].sort();
  await env.book.sign(
    'artifact',
    {
      model: job.content.model,
      schema: env.data.train.manifest.schema,
      weights: pointer,
      ...(inline === undefined ? {} : { inline }),
      key: job.content.access === 'open' ? blobSecrets(fromHex(env.secrets.blobs), 'artifact', 0).key : null,
      rounds: state.rounds.filter((round) => round.close !== null).length,
      lossPpm: measuredPpm(measured),
      accuracyPpm: accuracyPpm(measured),
      engine: engine.id,
      trainers: trainers.map((trainer) => ({ trainer, rounds: acceptedRounds(state, trainer) })),
    },
    trainers,
  );
}

/** The finished model under the address of its job; the same bytes each time, so a repetition is a duplicate. */
export async function publishModelListing(env: CustomerEnv, state: JobState): Promise<void> {
  const artifact = env.book.raw(state.artifact!.id)!;
  const outcomes = await env.relays.publish(await env.signer.sign(buildArtifactListing(artifact, state.jobId)));
  if (outcomes.some((outcome) => outcome.state !== 'unreachable')) return;
  throw new NmktError('relay-unreachable', 'the listing of the model reached no relay', {
    expected: `an answer from one of ${env.relays.urls.join(', ')}`,
    got: outcomes.map((outcome) => `${outcome.relay}: ${outcome.message}`).join('; '),
    remedy: 'check the network, or name another relay with --relay URL',
  });
}
