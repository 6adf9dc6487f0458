import { fromHex, type EventId, type Pubkey } from '../../hash.js';
import { roundTaking } from '../../market/arena/due.js';
import { stakesAsked } from '../../market/arena/list-rules.js';
import { soundOf } from '../../market/arena/seat-rules.js';
import { currentStage, submittingStage, type ArenaState } from '../../market/arena/state.js';
import { parseSnapshot } from '../../protocol/dataset.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { encodeGrant } from '../../protocol/grant.js';
import { shardLocators } from '../../protocol/locator.js';
import type { GrantToSend } from '../customer-grants.js';
import { ownShardKey } from '../epoch.js';
import { readAliases, type Alias } from './aliases.js';
import type { ArenaCustomerEnv } from './env.js';

/** What the customer of an arena gives: the training set to trainers, a stage's set and blinded models to those with seats. */

const isEntry = (event: JobEvent): event is EventOf<'enter'> => event.type === 'enter';

/** May it have the training set? */
function isAllowed(env: ArenaCustomerEnv, state: ArenaState, who: Pubkey): boolean {
  const { keyRelease } = state.job.content;
  if (who === state.job.author || env.blocked?.has(who) === true) return false;
  if (env.followed !== undefined && !env.followed.has(who)) return false;
  if (keyRelease === 'staked') return stakesAsked(state, 'trainer')?.has(who) ?? false;
  return keyRelease === 'open' || env.followed?.has(who) === true || isKnown(env, who);
}

/** Was it paid by this home before? */
function isKnown({ earlier }: ArenaCustomerEnv, who: Pubkey): boolean {
  return (earlier ?? []).some(({ standing }) => (standing.get(who)?.successes ?? 0) > 0);
}

/** Made once for each process; aliases of a stage are read once. */
export function arenaGrants(env: ArenaCustomerEnv): (state: ArenaState) => Promise<readonly GrantToSend[]> {
  const { train } = env.secrets;
  const locators = shardLocators(train.secrets.locator);
  const { manifest, id: snapshot } = parseSnapshot(train.event);
  const shards = new Map<EventId, readonly string[]>();
  const aliases = new Map<EventId, readonly Alias[]>();

  const trainingSet = ({ jobId, job }: ArenaState): readonly string[] => {
    const known =
      shards.get(jobId) ??
      manifest.shards.map((_, shard) =>
        encodeGrant({
          ...{ purpose: 'shard', job: jobId, snapshot, shard, key: ownShardKey(manifest, train.secrets, shard) },
          ...{ seed: fromHex(env.secrets.seed), locator: locators(shard), blind: fromHex(train.secrets.blind) },
          notAfter: job.content.arena.finalUntil,
        }),
      );
    shards.set(jobId, known);
    return known;
  };

  const toTrainers = (state: ArenaState): GrantToSend[] =>
    submittingStage(state) === null
      ? []
      : soundOf(state, isEntry).flatMap(({ author }) => {
          const hasSubmitted = state.sound.get(author)?.some(({ type }) => type === 'submit') === true;
          if (hasSubmitted || !isAllowed(env, state, author)) return [];
          return trainingSet(state).map((content, shard) => ({ id: `train/${shard}/${author}`, to: author, content }));
        });

  const toValidators = async (state: ArenaState): Promise<GrantToSend[]> => {
    const stage = currentStage(state);
    const round = stage === undefined ? null : roundTaking(stage);
    if (stage === undefined || round === null || round.commitList !== null) return [];
    const known = aliases.get(stage.list.id) ?? (await readAliases(env, stage.list.id)) ?? [];
    aliases.set(stage.list.id, known);
    const root = stage.root!.id;
    const said = (who: Pubkey) =>
      state.sound
        .get(who)
        ?.some(
          ({ type, content }) => type === 'score-commit' && 'list' in content && content.list === round.draw.id,
        ) === true;
    return [...round.seats].flatMap(([to, seats]) => {
      if (said(to)) return [];
      const set = { id: `set/${stage.stage}/${to}`, to, content: setGrant(env, state, stage.stage) };
      return [
        set,
        ...seats.map((alias) => ({
          id: `model/${root}/${alias}/${to}`,
          to,
          content: encodeGrant({
            ...{ purpose: 'model', job: state.jobId, root, alias, model: known[alias]?.blob ?? null },
            notAfter: state.job.content.arena.finalUntil,
          }),
        })),
      ];
    });
  };

  return async (state) => [...toTrainers(state), ...(await toValidators(state))];
}

function setGrant(env: ArenaCustomerEnv, { jobId, job }: ArenaState, stage: number): string {
  const { event, secrets } = stage === 0 ? env.secrets.a : env.secrets.b;
  const { manifest, id } = parseSnapshot(event);
  return encodeGrant({
    ...{ purpose: 'eval', job: jobId, snapshot: id, key: ownShardKey(manifest, secrets, 0) },
    ...{ scoring: fromHex(env.secrets.scoring), locator: secrets.locator, blind: fromHex(secrets.blind) },
    notAfter: job.content.arena.finalUntil,
  });
}
