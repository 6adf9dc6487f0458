import { z } from 'zod';
import type { EventId } from '../hash.js';
import type { NostrEvent, EventTemplate } from '../ports.js';
import { dataSchema } from './dataset.js';
import { engineId } from './bid.js';
import { badEvent, checkEnvelope, checkPhase, eventType, parseContent, tagValue } from './envelope.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from './kinds.js';
import { modelSpec } from './model.js';
import { blobPointer, inlineBlob } from './pointer.js';
import { bytes32, int, loss, ppm, pubkey } from './scalars.js';

const ID = /^[0-9a-f]{64}$/;

const artifactContent = z.object({
  model: modelSpec,
  schema: dataSchema,
  weights: blobPointer,
  inline: inlineBlob.optional(),
  key: bytes32.nullable(),
  rounds: int(0, 100_000),
  lossPpm: loss,
  accuracyPpm: ppm.nullable(),
  /** What measured them; absent: nobody can hold them to the ppm. */
  engine: engineId.optional(),
  trainers: z.array(z.object({ trainer: pubkey, rounds: int(0, 100_000) })).max(1_024),
});
export type ArtifactContent = z.output<typeof artifactContent>;

/** The finished model: its bytes by hash, what it scored on set B, who trained it. `key` only where everyone may open it. */
export const ARTIFACT = eventType('artifact', KINDS.artifact, null, artifactContent);

/** Kind 34621: the same content under the address of the job, for browsing. */
export function buildArtifactListing(artifact: NostrEvent, job: string): EventTemplate {
  return {
    kind: KINDS.artifactListing,
    created_at: artifact.created_at,
    tags: [
      ['d', job],
      ['t', PROTOCOL_TAG],
      ['v', PROTOCOL_VERSION],
      ['e', artifact.id],
    ],
    content: artifact.content,
  };
}

/** What a listing says about the artifact it equals; the artifact event itself is the proof. */
export function parseArtifactListing(event: NostrEvent): {
  readonly job: EventId;
  readonly artifact: EventId;
  readonly content: ArtifactContent;
} {
  checkEnvelope(event, KINDS.artifactListing);
  checkPhase(event, null);
  const [job, artifact] = [tagValue(event, 'd') ?? '', tagValue(event, 'e') ?? ''];
  if (!ID.test(job) || !ID.test(artifact)) throw badEvent(event, 'tags d and e with event ids', `${job}, ${artifact}`);
  return { job: job as EventId, artifact: artifact as EventId, content: parseContent(event, artifactContent) };
}
