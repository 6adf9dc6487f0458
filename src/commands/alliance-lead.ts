import type { EventId } from '../hash.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import { ALLIANCE_JOB } from '../protocol/alliance/job.js';
import type { AllianceSecrets } from '../roles/alliance/env.js';
import { leadAlliance } from '../roles/alliance/sequencer.js';
import type { HomeFiles } from '../roles/home-files.js';
import { allianceFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import type { Context } from './command.js';
import { ALLIANCE_READING } from './find-alliance.js';
import type { Leading } from './lead.js';
import { leadPot } from './lead-pot.js';
import type { Holds } from './unpaid.js';

/** The secrets of an alliance that this home posted. */
export function allianceSecrets(files: HomeFiles, jobId: EventId): Promise<AllianceSecrets | undefined> {
  return files.readJson<AllianceSecrets>(allianceFile(jobId));
}

export interface LedAlliance {
  readonly folded: FoldedAlliance;
  /** Why payouts are not paid, as far as this run tried. */
  readonly holds: Holds;
}

/** Leads an alliance to its end, or to its cancellation. @throws NmktError as `leadAlliance`, and of the wallet */
export async function leadOwnAlliance(
  context: Context,
  ports: PublishPorts,
  secrets: AllianceSecrets,
  options: Readonly<Record<string, unknown>>,
  how: Pick<Leading, 'signal' | 'cancel'> = {},
): Promise<LedAlliance> {
  const { alliance, rail } = ALLIANCE_JOB.parse(secrets.event).content;
  const { state: folded, holds } = await leadPot<FoldedAlliance>(
    context,
    ports,
    {
      ...{ id: secrets.event.id, potMsat: rail === 'none' ? 0n : alliance.potMsat, reading: ALLIANCE_READING },
      isOver: ({ phase }) => phase === 'finished' || phase === 'cancelled',
      lead: (env, wrap) => leadAlliance({ ...env, secrets }, wrap),
    },
    options,
    how,
  );
  return { folded, holds };
}
