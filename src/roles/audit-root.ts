import { paramsHash } from '../learning/params.js';
import { rungOf } from '../market/auction.js';
import type { JobState, RoundState } from '../market/state.js';
import type { Engine } from '../ports.js';
import type { Finding } from './audit-format.js';
import type { RepeatPorts } from './audit-repeat.js';
import type { OpenedRound } from './audit-with-keys.js';
import { repeats } from './job-file.js';
import { trainRoot } from './root-update.js';

/** The root updates of FLTrust, trained again by an auditor with the data: a customer that made one up is named. */

export interface RootPorts extends RepeatPorts {
  /** After each. */
  onRoot?(): void;
}

const isRepeated = (round: RoundState, engine: Engine['id']): boolean =>
  round.close!.content.engine === engine && repeats(rungOf(engine));

/** Why fewer of them are trained again than rounds were closed. */
export function whyRootsNotRepeated({ rounds }: JobState, engine: Engine['id']): string {
  const other = rounds.find((round) => round.close !== null && !isRepeated(round, engine));
  return other === undefined
    ? 'kernels take part whose bits differ between machines'
    : `round ${other.round + 1} was closed on ${other.close!.content.engine ?? 'an engine that it does not name'}, this is ${engine}`;
}

/** To the byte on the engine that closed the round, where that repeats; two trainings on others drift apart. */
export async function repeatRoot(
  round: RoundState,
  { base, root }: OpenedRound,
  ports: RootPorts,
): Promise<Finding | null> {
  const { state, engine, data, seed, signal } = ports;
  if (round.close === null || root === null || !isRepeated(round, engine.id)) return null;
  const training = { terms: state.job!.content, base, examples: await data.evaluationA(), seed, round: round.round };
  const { params, isExact } = await trainRoot(engine, training, signal);
  if (!isExact) return null;
  ports.onRoot?.();
  const [own, theirs] = [paramsHash(params), round.close.content.root!.sha256];
  return own === theirs
    ? null
    : { event: round.close.id, rule: 'root', detail: `training on set A ends in ${own}, published was ${theirs}` };
}
