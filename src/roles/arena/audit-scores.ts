import type { Bytes, EventId, Pubkey, Sha256 } from '../../hash.js';
import type { EngineId } from '../../learning/types.js';
import { consensusOf } from '../../market/arena/consensus.js';
import { scoresOf } from '../../market/arena/rank-rules.js';
import { seatsIn, type ArenaStage, type ArenaState } from '../../market/arena/state.js';
import { modelCommitment } from '../../protocol/arena/submission.js';
import type { EventOf } from '../../protocol/events.js';
import type { Finding } from '../audit-format.js';
import { isNear, isRepeatable } from '../audit-measure.js';
import { TOLERANCE } from '../audit-tolerance.js';

/** A stage of an arena with its submissions opened: are names and scores what they hold? */

/** What an auditor opened of a submission. */
export interface OpenedModel {
  readonly file: Bytes;
  /** Of the file. */
  readonly hash: Sha256;
  /** That opens the commitment with it. */
  readonly salt: Bytes;
}

export interface StagePorts {
  /** Null: it does not open, or is larger than the job takes. */
  open(submission: EventOf<'submit'>): Promise<OpenedModel | null>;
  /** Absent: without a key to the data. */
  readonly scorer?: {
    readonly engine: EngineId;
    /** In ppm, on the set of the stage. */
    measure(file: Bytes): Promise<number>;
  };
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

export interface StageAudit {
  readonly found: Finding | null;
  readonly contradicted: readonly Contradicted[];
  /** Submissions that the customer could not open, it says, and that open now: it lies, or they came too late. */
  readonly openNow: readonly EventId[];
}

/**
 * Opens every submission once, one after the other. Scores are equal to the ppm where the same engine measured, else within a thousandth
 * and 100 ppm. One that counts and does not follow is a finding about the ranking by it, since more than half of its validators said so; a
 * validator that says otherwise is named, outvoted or not.
 */
export async function auditStage(state: ArenaState, stage: ArenaStage, ports: StagePorts): Promise<StageAudit> {
  const contradicted: Contradicted[] = [];
  const openNow: EventId[] = [];
  let found: Finding | null = null;
  for (const [alias, { submission: id, model }] of (stage.table?.content.entries ?? []).entries()) {
    const submission = [...stage.submissions.values()].find((one) => one.id === id)!;
    const own = await ports.open(submission);
    if (model === null) {
      if (own !== null && isCommitted(state, stage, submission, own)) openNow.push(id);
      continue;
    }
    const wrong = wrongName(stage, submission, model, own);
    if (wrong !== null) return { found: wrong, contradicted, openNow };
    if (ports.scorer === undefined) continue;
    const { engine } = ports.scorer;
    const again = { alias, model, trainer: submission.author, engine, scorePpm: await ports.scorer.measure(own!.file) };
    contradicted.push(...contradictedBy(stage, again));
    found ??= otherConsensus(state, stage, again);
  }
  return { found, contradicted, openNow };
}

function isCommitted(
  { jobId: job }: ArenaState,
  { stage }: ArenaStage,
  { author: trainer, content }: EventOf<'submit'>,
  { hash: model, salt }: OpenedModel,
): boolean {
  return modelCommitment({ job, stage, trainer, model, salt }) === content.commitment;
}

function wrongName(
  { table }: ArenaStage,
  { id, author }: EventOf<'submit'>,
  model: Sha256,
  own: OpenedModel | null,
): Finding | null {
  if (own === null) return { event: id, rule: 'blob', detail: `the model of ${author} does not open` };
  const detail = `it says ${author} submitted ${model}, its blob holds ${own.hash}`;
  return own.hash === model ? null : { event: table!.id, rule: 'alias-table', detail };
}

/** Measured again. */
interface Again {
  readonly alias: number;
  readonly model: Sha256;
  readonly trainer: Pubkey;
  readonly engine: EngineId;
  readonly scorePpm: number;
}

const sheetsOf = ({ rounds }: ArenaStage): readonly EventOf<'arena-scores'>[] =>
  rounds.flatMap(({ reveals }) => [...reveals.values()]);

function contradictedBy(stage: ArenaStage, again: Again): Contradicted[] {
  return sheetsOf(stage).flatMap(({ id: event, author: validator, content }) => {
    const detail = whyOther(content, again);
    return detail === null ? [] : [{ stage: stage.stage, validator, trainer: again.trainer, event, detail }];
  });
}

function whyOther({ scores, engine }: EventOf<'arena-scores'>['content'], again: Again): string | null {
  const { alias, model, engine: own, scorePpm } = again;
  const row = scores.find((one) => one.alias === alias);
  if (row === undefined) return null;
  if (row.model !== null && row.model !== model)
    return `alias ${alias}: it opened ${row.model}, submitted was ${model}`;
  if (isSame(row.scorePpm, scorePpm, isRepeatable(own, engine))) return null;
  const said = row.model === null ? 'it opened nothing' : `it says ${row.scorePpm} ppm`;
  return `alias ${alias}: ${said}, measured again ${scorePpm} ppm on ${own}`;
}

function otherConsensus(state: ArenaState, stage: ArenaStage, again: Again): Finding | null {
  const seats = seatsIn(state, stage);
  const said = scoresOf(stage, seats)[again.alias]?.scoresPpm;
  const score = said === undefined ? null : consensusOf(said, seats);
  if (score === null) return null;
  const isExact = sheetsOf(stage)
    .filter(({ author }) => said!.has(author))
    .every(({ content }) => isRepeatable(again.engine, content.engine));
  if (isSame(score, again.scorePpm, isExact)) return null;
  const measured = `the model of ${again.trainer} scores ${again.scorePpm} ppm on ${again.engine}`;
  return {
    event: (stage.ranking ?? stage.table!).id,
    rule: 'measurement',
    detail: `${measured}, its validators came to ${score}`,
  };
}

const isSame = (said: number, again: number, isExact: boolean): boolean =>
  isExact ? said === again : isNear(said, again, TOLERANCE.lossShare);
