import { scoringSecret } from '../learning/seeds.js';
import type { EngineId } from '../learning/types.js';
import type { RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { ScoreRow } from '../protocol/score.js';
import type { Evaluation } from '../ports.js';
import type { DataKeys, Finding } from './audit-format.js';
import { repeatRoot, type RootPorts } from './audit-root.js';
import { repeatAgain, sheetsOf, whyNotRepeated } from './audit-repeat.js';
import type { Measure } from './audit-with-keys.js';
import { accuracyPpm, measuredPpm, scoreUpdates } from './measure.js';
import { TOLERANCE } from './audit-tolerance.js';

/** Losses measured again on the engine of the auditor, and segments repeated again where it is the engine of the job. */

const LOSSES = ['ownBeforePpm', 'ownAfterPpm', 'otherBeforePpm', 'otherAfterPpm', 'lossPpm'] as const;
const ERRORS = ['ownSePpm', 'otherSePpm'] as const;

/**
 * To the ppm where the same engine measured, else losses within a thousandth (standard errors: a hundredth) and 100 ppm,
 * accuracies within one example.
 */
export function remeasure(
  keys: DataKeys,
  ports: RootPorts & { onContradicted?(event: EventOf<'scores'>, detail: string): void },
): Measure {
  const { engine, data, state } = ports;
  const job = state.job!;
  const spec = job.content.model;
  /** Sheets of validators that say otherwise: outvoted, so the round holds. */
  const nameLiars = (round: RoundState, again: ScoreRow): void => {
    for (const sheet of round.listedScoreReveals.values()) {
      const said = sheet.content.scores.find(({ shard }) => shard === again.shard);
      if (said === undefined) continue;
      const wrong = otherMeasure(said, again, isRepeatable(engine.id, sheet.content.engine));
      const agreed = round.verdict!.rows.find(({ shard }) => shard === again.shard)?.spot ?? null;
      const isForged = agreed !== null && said.spot?.segment === agreed.segment && said.spot.hash !== agreed.hash;
      const what =
        wrong ?? (isForged ? `segment ${agreed.segment} ends in ${agreed.hash}, not ${said.spot!.hash}` : null);
      if (what !== null) ports.onContradicted?.(sheet, `${what} (update of ${again.trainer}, engine ${engine.id})`);
    }
  };
  return {
    async round(round, opened) {
      const { base, updates, aggregate } = opened;
      const { by, rows } = round.verdict!;
      const engines = sheetsOf(round).map(({ content }) => content.engine);
      const isExact = engines.every((one) => isRepeatable(engine.id, one));
      const again = await scoreUpdates(engine, data, scoringSecret(keys.chain), job, round, base, updates, new Map());
      for (const row of again) {
        const published = rows.find(({ shard }) => shard === row.shard);
        const wrong = published && otherMeasure(published, row, isExact);
        nameLiars(round, row);
        if (wrong)
          return { event: by, rule: 'measurement', detail: `${wrong} (update of ${row.trainer}, engine ${engine.id})` };
      }
      if (whyNotRepeated(state, engine.id) === null) {
        const found = await repeatAgain(round, opened, ports);
        if (found !== null) return found;
      }
      const otherRoot = await repeatRoot(round, opened, ports);
      if (otherRoot !== null) return otherRoot;
      if (round.close === null || aggregate === null) return null;
      const measured = await engine.evaluate(spec, aggregate, await data.evaluationA());
      return otherMetrics(round.sold ?? round.close, measured, 'A', engine.id);
    },
    async artifact(artifact, params) {
      const measured = await engine.evaluate(spec, params, await data.evaluationB());
      return otherMetrics(artifact, measured, 'B', engine.id);
    },
  };
}

/** Equal ids promise equal bytes, but for tfjs-node, whose library adds in an order of its own. */
export function isRepeatable(own: EngineId, theirs: EngineId): boolean {
  return own === theirs && !own.startsWith('node/');
}

function otherMeasure(published: ScoreRow, again: ScoreRow, isExact: boolean): string | null {
  const differs = (field: (typeof LOSSES)[number] | (typeof ERRORS)[number], part: number) =>
    isExact ? published[field] !== again[field] : !isNear(published[field], again[field], part);
  const field =
    LOSSES.find((one) => differs(one, TOLERANCE.lossShare)) ?? ERRORS.find((one) => differs(one, TOLERANCE.errorShare));
  return field === undefined ? null : `${field} is ${again[field]}, published was ${published[field]}`;
}

/** Within one part in `share` of the larger, and 100 ppm. */
export function isNear(a: number, b: number, share: number): boolean {
  return Math.abs(a - b) <= TOLERANCE.lossPpm + Math.max(Math.abs(a), Math.abs(b)) / share;
}

function otherMetrics(
  event: EventOf<'close'> | EventOf<'sold'> | EventOf<'artifact'>,
  measured: Evaluation,
  set: 'A' | 'B',
  own: EngineId,
): Finding | null {
  const { lossPpm, accuracyPpm: share, engine } = event.content;
  const isExact = engine !== undefined && isRepeatable(own, engine);
  const [loss, accuracy] = [measuredPpm(measured), accuracyPpm(measured)];
  const bad = (detail: string): Finding => ({
    event: event.id,
    rule: 'measurement',
    detail: `on set ${set} ${detail}`,
  });
  const isLoss = isExact ? loss === lossPpm : isNear(loss, lossPpm, TOLERANCE.lossShare);
  if (!isLoss) return bad(`the loss is ${loss} ppm, published was ${lossPpm}`);
  const example = isExact ? 0 : Math.ceil(1_000_000 / measured.count);
  if (share === null || accuracy === null)
    return share === accuracy ? null : bad(`the accuracy is ${accuracy ?? 'none'}, published was ${share ?? 'none'}`);
  return Math.abs(accuracy - share) <= example ? null : bad(`the accuracy is ${accuracy} ppm, published was ${share}`);
}
