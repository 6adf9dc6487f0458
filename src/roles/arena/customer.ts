import { NmktError } from '../../errors.js';
import { fromHex } from '../../hash.js';
import { chainElement } from '../../learning/seeds.js';
import { ableValidators } from '../../market/arena/due.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import { MAX_DRAWS } from '../../market/arena/seat-rules.js';
import { aliasRoot } from '../../protocol/arena/alias.js';
import type { Wrap } from '../customer.js';
import { sendEach, type SentGrant } from '../customer-grants.js';
import { payOut, tellShortfall, type Hold } from '../customer-money.js';
import { dueTableOf, publishTableOf } from '../customer-stakes.js';
import { leadBy } from '../lead-loop.js';
import { aliasSalt, entriesOf, openAliases } from './aliases.js';
import { decideArena, restsOnAbsence, type ArenaAction } from './customer-decide.js';
import { owedOf, type ArenaCustomerEnv } from './env.js';
import { arenaGrants } from './grants.js';
import { planNow, rank, settle } from './settle.js';

/** Draws that the customer's chain, and those of validators, have an element for. */
export const ARENA_DRAWS = 2 * MAX_DRAWS;

/**
 * Leads an arena from its first submission to its last payment. A crash anywhere and a new start give the same result.
 *
 * @returns the last state; payouts may be left that nobody claimed
 * @throws NmktError `job-closed`, `audit-failed` (own events do not follow), `interrupted`
 */
export async function leadArena(env: ArenaCustomerEnv, wrap: Wrap): Promise<FoldedArena> {
  const sent = new Map<string, SentGrant>();
  const grants = arenaGrants(env);
  return leadBy<ArenaAction, FoldedArena>(env, {
    phase: phaseName,
    sendGrants: async ({ state }, answered) => {
      if (state !== null) await sendEach(env, await grants(state), wrap, sent, answered);
    },
    lookUp: () => Promise.resolve(),
    isEnough: () => false,
    whoForked: ({ state }) => new Set(state?.sound.keys()),
    dueTable: ({ phase, job, chains, state }, now) => {
      const isOver = phase === 'finished' || phase === 'cancelled' || phase === 'frozen' || phase === 'incomplete';
      if (isOver || job === null || state === null) return null;
      const isJoining = phase === 'submitting' || phase === 'listed';
      return dueTableOf({ job, chains, stakes: state.stakes, isJoining, isCounting: phase === 'scoring' }, now);
    },
    publishTable: (stake, table, now, notBefore) => {
      const { jobId, stakes } = env.book.state().state!;
      return publishTableOf({ book: env.book, progress: env.progress, jobId, stakes }, stake, table, now, notBefore);
    },
    awaitsTable: ({ job, phase }) => job?.content.stake !== undefined && phase === 'submitting',
    decide: (folded, facts, now) => decideArena(folded, { ...facts, isCancelling: env.cancel !== undefined }, now),
    restsOnAbsence,
    carryOut: (folded, action, isDegraded) => carryOut(env, folded, action, isDegraded),
    finish: () => Promise.resolve(),
    stopped,
  });
}

/** What was seen before counts no more once something new is awaited. */
function phaseName({ phase, state }: FoldedArena): string {
  const stage = state?.stages.at(-1);
  const round = stage?.rounds.at(-1);
  const begun = [stage?.root?.id, round?.draw.id, round?.commitList?.id, round?.revealList?.id];
  return [state?.stages.length, phase, ...begun].join('/');
}

async function carryOut(
  env: ArenaCustomerEnv,
  folded: FoldedArena,
  action: Exclude<ArenaAction, { do: 'wait' | 'done' | 'stop' }>,
  isDegraded: boolean,
): Promise<Hold | null> {
  const { book, progress } = env;
  const state = folded.state!;
  const terms = state.job.content;
  const now = env.clock.nowSec();
  const marked = isDegraded ? { degraded: true as const } : {};
  switch (action.do) {
    case 'seen':
      if (action.of === 'submission') {
        const { stage, interval, ids } = action;
        await book.sign('arena-seen', { stage, interval, ids: [...ids] });
      } else await book.sign('seen', { round: action.round, of: action.of, ids: [...action.ids] });
      return null;
    case 'list-submissions':
      progress.update(`${action.ids.length} submissions count, ${stageName(action.stage)}`);
      await book.sign('arena-list', {
        ...{ stage: action.stage, ids: [...action.ids], until: now + terms.revealTimeoutSec },
        ...marked,
      });
      return null;
    case 'root': {
      const { stage } = action;
      const entries = entriesOf(await openAliases(env, state, stage));
      const of = { job: state.jobId, stage: stage.stage, list: stage.list.id };
      const able = ableValidators(state, stage, now);
      await book.sign(
        'alias-root',
        {
          ...{ stage: of.stage, list: of.list, root: aliasRoot({ ...of, entries, salt: aliasSalt(env, of.stage) }) },
          ...{ count: entries.length, validators: able.map(({ id }) => id) },
        },
        able.map(({ author }) => author),
      );
      return null;
    }
    case 'draw': {
      const { round, nonces, stage } = action;
      const s = chainElement(fromHex(env.secrets.chain), ARENA_DRAWS, round);
      await book.sign('draw', { round, list: stage.root!.id, s, nonces: [...nonces] });
      return null;
    }
    case 'list': {
      const until = action.of === 'score-commit' ? now + terms.revealTimeoutSec : null;
      await book.sign('list', { round: action.round, of: action.of, ids: [...action.ids], until, ...marked });
      return null;
    }
    case 'table': {
      const { stage } = action;
      const entries = entriesOf(await openAliases(env, state, stage));
      const salt = aliasSalt(env, stage.stage);
      await book.sign('alias-table', { stage: stage.stage, root: stage.root!.id, salt, entries });
      return null;
    }
    case 'rank':
      await rank(book, state, action.stage);
      return null;
    case 'settle':
      await settle(book, state, action.stage, action.stage.ranking!.id);
      await tellShortfall(env, book.jobId, action.stage.stage, planNow(state, action.stage).plan);
      return null;
    case 'pay': {
      const { round, payout } = action;
      progress.update(`paying ${payout.amountMsat / 1000n} sat to ${payout.payee.slice(0, 12)}…`);
      const [first] = round.stage.settlement === null ? round.stage.others : [round.stage.settlement];
      return payOut(
        env,
        {
          state: folded,
          network: terms.network,
          ...{ rounds: owedOf(folded).rounds, round: round.round, planHash: first!.contentHash },
        },
        payout,
      );
    }
    case 'cancel':
      await book.sign('cancel', env.cancel!);
      return null;
  }
}

const stageName = (stage: number): string => (stage === 0 ? 'interim stage' : 'final stage');

function stopped({ jobId, firstBad, state }: FoldedArena, { why }: { readonly why: string }): NmktError {
  if (why === 'finished')
    return new NmktError('job-closed', 'the arena is finished: there is nothing to cancel', {
      expected: 'an arena whose final stage is not settled',
      got: 'a settled one',
      remedy: `nmkt collect-model ${jobId} --out model`,
    });
  if (why === 'cancelled')
    return new NmktError('job-closed', 'the arena was cancelled', {
      expected: 'an arena that goes on',
      got: `a cancellation${state?.cancelled?.content.reason ? `: ${state.cancelled.content.reason}` : ''}`,
      remedy: 'post it again: nmkt post-job --again',
    });
  return new NmktError('audit-failed', 'an event of this arena does not follow from the others', {
    expected: 'a chain of events that follows the rules',
    got: firstBad === null ? 'no job event, or one that is missing' : `${firstBad.rule}: ${firstBad.detail}`,
    remedy: `nmkt audit ${jobId}`,
  });
}
