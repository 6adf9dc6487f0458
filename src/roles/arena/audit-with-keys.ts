import { sha256Hex, type EventId } from '../../hash.js';
import type { ArenaStage, ArenaState } from '../../market/arena/state.js';
import type { EventOf } from '../../protocol/events.js';
import type { Engine, NostrEvent, Relays } from '../../ports.js';
import type { Finding } from '../audit-format.js';
import { isOwnTrouble } from '../patience.js';
import { fetchBytes } from '../round-blobs.js';
import type { ArenaAuditKeys } from './audit-keys.js';
import { auditStage, type Contradicted, type OpenedModel, type StagePorts } from './audit-scores.js';
import { openSetAgain } from './audit-sets.js';
import { modelLabel } from './model-file.js';
import { scoreModel } from './score-model.js';

/** What keys open of an arena: every submission that counts, and the sets that it was scored on. */

export interface StagesFacts {
  readonly relays: Relays;
  readonly keys: ArenaAuditKeys;
  readonly snapshots: ReadonlyMap<EventId, NostrEvent>;
  /** Null: sets stay closed. */
  readonly measuring: { readonly engine: Engine; readonly data: NonNullable<ArenaAuditKeys['data']> } | null;
  readonly signal?: AbortSignal;
  onProgress?(text: string): void;
}

/** One after the other, until something does not follow. `isMeasured`: it is the data that show it. */
export async function auditStages(state: ArenaState, facts: StagesFacts) {
  const contradicted: Contradicted[] = [];
  const openNow = new Set<EventId>();
  const end = (found: Finding | null, isMeasured: boolean) => ({ found, isMeasured, contradicted, openNow });
  for (const stage of state.stages) {
    const scorer = await scorerFor(state, stage, facts);
    if (scorer !== undefined && 'rule' in scorer) return end(scorer, true);
    const open = opener(state, stage, facts);
    const audited = await auditStage(state, stage, scorer === undefined ? { open } : { open, scorer });
    contradicted.push(...audited.contradicted);
    for (const id of audited.openNow) openNow.add(id);
    if (audited.found !== null) return end(audited.found, audited.found.rule === 'measurement');
  }
  return end(null, false);
}

async function scorerFor(
  { job }: ArenaState,
  { stage }: ArenaStage,
  { relays, snapshots, measuring, signal }: StagesFacts,
): Promise<StagePorts['scorer'] | Finding> {
  if (measuring === null) return undefined;
  const { engine, data } = measuring;
  const set = await openSetAgain(job, stage, { relays, data, snapshots, ...(signal && { signal }) });
  if ('rule' in set) return set;
  const { arena } = job.content;
  return {
    engine: engine.id,
    measure: async (file) =>
      (await scoreModel(engine, file, { arena, schema: set.schema, set: set.examples })).scorePpm,
  };
}

function opener({ jobId, job }: ArenaState, { stage }: ArenaStage, facts: StagesFacts): StagePorts['open'] {
  const { keys, relays, signal } = facts;
  const sealed = new Map(keys.models.map((one) => [one.submission, one]));
  return async ({ id, author }: EventOf<'submit'>): Promise<OpenedModel | null> => {
    const one = sealed.get(id);
    if (one === undefined) return null;
    facts.onProgress?.(`opening the model of ${author.slice(0, 12)}…, stage ${stage}`);
    try {
      const source = { key: one.key, pointer: one.pointer, label: modelLabel(jobId, stage) };
      const file = await fetchBytes(relays, source, job.content.arena.maxModelBytes, signal);
      return { file, hash: sha256Hex(file), salt: one.salt };
    } catch (error) {
      if (isOwnTrouble(error)) throw error;
      return null;
    }
  };
}
