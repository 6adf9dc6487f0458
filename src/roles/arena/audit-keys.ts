import { z } from 'zod';
import { sealedModel, parseSealedModel } from '../../protocol/arena/submission.js';
import type { ArenaState } from '../../market/arena/state.js';
import { parseJson } from '../../protocol/json.js';
import { eventId } from '../../protocol/scalars.js';
import type { Signer } from '../../ports.js';
import { evaluationKeys } from '../audit-format.js';
import { collectSetKeys } from '../collect.js';
import type { JobSecrets } from '../customer-env.js';
import { isWithoutKey } from '../epoch.js';
import { isOwnTrouble } from '../patience.js';

/** What the customer of an arena gives an auditor: what opens the submissions, and with `data` the evaluation sets. */
const arenaAuditKeys = z.object({
  job: eventId,
  mode: z.literal('arena'),
  models: z.array(sealedModel.extend({ submission: eventId })).max(10_000),
  data: z.object({ a: evaluationKeys, b: evaluationKeys }).optional(),
});
export type ArenaAuditKeys = z.output<typeof arenaAuditKeys>;

export function encodeArenaAuditKeys(keys: ArenaAuditKeys): string {
  return `${JSON.stringify(z.encode(arenaAuditKeys, keys), undefined, 2)}\n`;
}

/** @throws ZodError for anything else */
export function parseArenaAuditKeys(text: string): ArenaAuditKeys {
  return z.decode(arenaAuditKeys, parseJson(text) as z.input<typeof arenaAuditKeys>);
}

/** Of the submissions that count, those that open to the customer. */
export async function collectArenaKeys(
  { secrets, signer }: { readonly secrets: Pick<JobSecrets, 'a' | 'b'>; readonly signer: Pick<Signer, 'decrypt'> },
  state: ArenaState,
): Promise<ArenaAuditKeys> {
  const models: ArenaAuditKeys['models'] = [];
  for (const { submissions } of state.stages)
    for (const { id: submission, author, content } of submissions.values()) {
      try {
        models.push({ submission, ...parseSealedModel(await signer.decrypt(author, content.sealed)) });
      } catch (error) {
        if (isOwnTrouble(error)) throw error;
        // What seals no model has no rank, and nothing to open.
      }
    }
  const keys = { job: state.jobId, mode: 'arena' as const, models };
  if (isWithoutKey(secrets.a.secrets) || isWithoutKey(secrets.b.secrets)) return keys;
  return { ...keys, data: collectSetKeys(secrets) };
}
