import { z } from 'zod';
import type { NostrEvent, EventTemplate } from '../ports.js';
import { dataSchema } from './dataset.js';
import { eventType } from './envelope.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from './kinds.js';
import { modelSpec } from './model.js';
import { blobPointer, inlineBlob } from './pointer.js';
import { bytes32, int, loss, ppm, pubkey } from './scalars.js';

/** The finished model: its bytes by hash, what it scored on set B, who trained it. `key` only where everyone may open it. */
export const ARTIFACT = eventType(
  'artifact',
  KINDS.artifact,
  null,
  z.object({
    model: modelSpec,
    schema: dataSchema,
    weights: blobPointer,
    inline: inlineBlob.optional(),
    key: bytes32.nullable(),
    rounds: int(0, 100_000),
    lossPpm: loss,
    accuracyPpm: ppm.nullable(),
    trainers: z.array(z.object({ trainer: pubkey, rounds: int(0, 100_000) })).max(1_024),
  }),
);

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
