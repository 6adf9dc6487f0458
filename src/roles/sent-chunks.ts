import type { UploadRecord } from '../blob/upload-log.js';
import type { Sha256 } from '../hash.js';
import type { Journal } from '../ports.js';

/** Which relays said that they have which chunks of a dataset: what the home keeps of its uploads. */

export interface SentPorts {
  /** A journal of the home, by its relative path. */
  readonly journal: (name: string) => Promise<Journal<UploadRecord>>;
}

export const sentFile = (request: Sha256) => `datasets/${request}/sent.jsonl`;

/** A relay does not have what it said: the next run of publishDataset sends it everything. */
export async function forgetStored(ports: SentPorts, request: Sha256, relay: string): Promise<void> {
  const journal = await ports.journal(sentFile(request));
  try {
    await journal.append({ relay, stored: [], isForgotten: true });
  } finally {
    await journal.close();
  }
}

/** Relays that this dataset was sent to. */
export async function relaysOfUpload(ports: SentPorts, request: Sha256): Promise<readonly string[]> {
  const journal = await ports.journal(sentFile(request));
  try {
    return [...new Set((await journal.read()).map(({ relay }) => relay))];
  } finally {
    await journal.close();
  }
}
