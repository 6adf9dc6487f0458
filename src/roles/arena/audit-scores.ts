import type { EventId, Pubkey, Sha256 } from '../../hash.js';
import type { EngineId } from '../../learning/types.js';
import { consensusOf } from '../../market/arena/consensus.js';
import { scoresOf } from '../../market/arena/rank-rules.js';
import { seatsIn, type ArenaStage, type ArenaState } from '../../market/arena/state.js';
import { modelCommitment } from '../../protocol/arena/submission.js';
import type { EventOf } from '../../protocol/events.js';
import type { Finding } from '../audit-format.js';
import { isNear, isRepeatable } from '../audit-measure.js';
import { TOLERANCE } from '../audit-tolerance.js';

/** The scores of an opened stage of an arena, measured again. */

/** What an auditor opened of a submission. */
export interface OpenedModel {
  /** Of the canonical bytes. */
  readonly hash: Sha256;
  /** That opens the commitment with it. */
  readonly salt: Uint8Array;
}

export interface OpenedStage {
  /** By submission; absent: it did not open. */
  readonly models: ReadonlyMap<EventId, OpenedModel>;
  /** Commitment to the set that was opened. */
  readonly set: Sha256;
  readonly engine: EngineId;
  /** In ppm on that set, by that engine; a model that is too large, does not load or gives no number has the worst score. */
  measure(submission: EventId): Promise<number>;
}

/** A validator that says otherwise than what was measured again. */
export interface Contradicted {
  readonly stage: number;
  readonly validator: Pubkey;
  readonly trainer: Pubkey;
  /** Its scores. */
  readonly event: EventId;
  readonly detail: string;
}

/** Do names and set hold? For an auditor with keys to the models; `set` null: without one to the data. */
export function auditNames(
  state: ArenaState,
  stage: ArenaStage,
  { models, set }: { readonly models: OpenedStage['models']; readonly set: Sha256 | null },
): Finding | null {
  const { evalA, evalB } = state.job.content;
  const [name, due] = stage.stage === 0 ? ['A', evalA.commitment] : ['B', evalB.commitment];
  if (set !== null && set !== due) {
    const detail = `the set that its keys open is ${set}, set ${name} is ${due}`;
    return { event: state.job.id, rule: 'evaluation-set', detail };
  }
  const table = stage.table;
  for (const [trainer, one] of stage.submissions) {
    const entry = table?.content.entries.find(({ submission }) => submission === one.id);
    if (entry === undefined) continue;
    const own = models.get(one.id);
    const bad = (detail: string): Finding => ({ event: table!.id, rule: 'alias-table', detail });
    if (entry.model !== null && own === undefined)
      return { event: one.id, rule: 'blob', detail: `the model of ${trainer} does not open` };
    if (entry.model !== null && entry.model !== own?.hash)
      return bad(`it says ${trainer} submitted ${entry.model}, its blob is ${own?.hash}`);
    if (entry.model === null && own !== undefined && isCommitted(state, stage, one, own))
      return bad(`it says that the model of ${trainer} could not be opened, and it opens to ${own.hash}`);
  }
  return null;
}

function isCommitted(
  { jobId: job }: ArenaState,
  { stage }: ArenaStage,
  { author: trainer, content }: EventOf<'submit'>,
  { hash: model, salt }: OpenedModel,
): boolean {
  return modelCommitment({ job, stage, trainer, model, salt }) === content.commitment;
}

/**
 * Every model that the table names is measured once: to the ppm where the same engine did, else within a thousandth and 100 ppm. A score
 * that counts and does not follow is a finding about the ranking by it, since more than half of its validators said so; a validator that
 * says otherwise is named, outvoted or not.
 */
export async function auditScores(
  state: ArenaState,
  stage: ArenaStage,
  opened: OpenedStage,
): Promise<{ readonly found: Finding | null; readonly contradicted: readonly Contradicted[] }> {
  const contradicted: Contradicted[] = [];
  const authors = new Map([...stage.submissions].map(([trainer, { id }]) => [id, trainer]));
  const seats = seatsIn(state, stage);
  const counted = stage.table === null ? [] : scoresOf(stage, seats);
  let found: Finding | null = null;
  for (const [alias, { submission, model }] of (stage.table?.content.entries ?? []).entries()) {
    if (model === null) continue;
    const trainer = authors.get(submission)!;
    const again = await opened.measure(submission);
    for (const sheet of sheetsOf(stage)) {
      const detail = whyOther(sheet, alias, model, again, opened.engine);
      if (detail === null) continue;
      contradicted.push({ stage: stage.stage, validator: sheet.author, trainer, event: sheet.id, detail });
    }
    const said = counted[alias]?.scoresPpm;
    const score = said === undefined ? null : consensusOf(said, seats);
    if (found !== null || score === null) continue;
    const isExact = sheetsOf(stage)
      .filter(({ author }) => said!.has(author))
      .every(({ content }) => isRepeatable(opened.engine, content.engine));
    if (isSame(score, again, isExact)) continue;
    const detail = `the model of ${trainer} scores ${again} ppm on ${opened.engine}, its validators came to ${score}`;
    found = { event: (stage.ranking ?? stage.table!).id, rule: 'measurement', detail };
  }
  return { found, contradicted };
}

const sheetsOf = ({ rounds }: ArenaStage): readonly EventOf<'arena-scores'>[] =>
  rounds.flatMap(({ reveals }) => [...reveals.values()]);

function whyOther(
  { content: { scores, engine } }: EventOf<'arena-scores'>,
  alias: number,
  model: Sha256,
  again: number,
  own: EngineId,
): string | null {
  const row = scores.find((one) => one.alias === alias);
  if (row === undefined) return null;
  const { model: opened, scorePpm } = row;
  if (opened !== null && opened !== model) return `alias ${alias}: it opened ${opened}, submitted was ${model}`;
  if (isSame(scorePpm, again, isRepeatable(own, engine))) return null;
  const said = opened === null ? 'it opened nothing' : `it says ${scorePpm} ppm`;
  return `alias ${alias}: ${said}, measured again ${again} ppm on ${own}`;
}

const isSame = (said: number, again: number, isExact: boolean): boolean =>
  isExact ? said === again : isNear(said, again, TOLERANCE.lossShare);
