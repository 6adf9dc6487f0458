import {
  appealable,
  correctionOf,
  mayChangeUntil,
  unheardComplaints,
  type DisputeState,
} from '../market/dispute-state.js';
import type { JobState } from '../market/state.js';
import { MAX_DISPUTES } from '../protocol/dispute.js';
import type { EventOf } from '../protocol/events.js';
import type { CustomerEnv } from './customer-env.js';
import { OUTAGE_GRACE_SEC } from './customer-scoring.js';

/** What the customer does about complaints of those it calls frauds: it lists them, and draws who repeats the segment. */

export type DisputeAction =
  | { readonly do: 'dispute'; readonly complaint: EventOf<'complaint'> }
  | { readonly do: 'dispute-draw'; readonly dispute: DisputeState }
  /** A validator repeated it to the committed end: the next one is asked. */
  | { readonly do: 'appeal'; readonly dispute: DisputeState; readonly verdict: EventOf<'verdict'> }
  /** Validators found the own proof false: what it had rejected is settled. */
  | { readonly do: 'correct'; readonly dispute: DisputeState };

interface Facts {
  readonly servingSince: number;
  readonly relaysSilentAt: number;
}

/** The next of them that is due now; pure. What validators found to be owed is settled when no verdict can change it any more. */
export function decideDispute(state: JobState, facts: Facts, now: number): DisputeAction | null {
  const [complaint] = unheardComplaints(state);
  if (complaint !== undefined && state.disputes.length < MAX_DISPUTES) return { do: 'dispute', complaint };
  const dispute = state.disputes.find(
    (one) => one.draw === null && (one.nonces.size >= one.eligible.length || now >= noncesDue(state, one, facts)),
  );
  if (dispute !== undefined) return { do: 'dispute-draw', dispute };
  for (const one of state.disputes) {
    const verdict = appealable(one, 'customer');
    if (verdict !== null) return { do: 'appeal', dispute: one, verdict };
  }
  const { withinSec } = state.job!.content.disputes ?? { withinSec: 0 };
  const owed = state.disputes.find(
    (one) => one.owedMsat > 0n && !one.isSettled && state.phase !== 'closed' && now >= mayChangeUntil(one, withinSec),
  );
  return owed === undefined ? null : { do: 'correct', dispute: owed };
}

function noncesDue({ job }: JobState, { opened }: DisputeState, { servingSince, relaysSilentAt }: Facts): number {
  const due = opened.createdAt + job!.content.disputes!.withinSec;
  return Math.max(due, servingSince, relaysSilentAt + OUTAGE_GRACE_SEC);
}

/** What the end of a job waits for: draws, and before its model is published who was called a fraud just now. */
export function awaitedDispute(
  state: JobState,
  facts: Facts,
  now: number,
): { readonly do: 'wait'; readonly for: string; readonly until: number } | null {
  const terms = state.job!.content.disputes;
  if (terms === undefined) return null;
  const open = state.disputes.filter(({ draw }) => draw === null).map((one) => noncesDue(state, one, facts));
  const undisputed = [...state.frauds.values()].filter(
    ({ id }) => !state.disputes.some(({ fraud }) => fraud.id === id),
  );
  const mayComplain = state.phase === 'trained' ? undisputed.map((fraud) => fraud.createdAt + terms.withinSec) : [];
  const judged = state.disputes.map((one) => mayChangeUntil(one, terms.withinSec));
  const until = Math.max(0, ...open, ...judged, ...mayComplain);
  if (now >= until) return null;
  return {
    do: 'wait',
    for:
      state.disputes.length > 0 ? 'validators, to repeat a disputed segment' : 'a complaint of who is called a fraud',
    until,
  };
}

export async function carryOutDispute(env: CustomerEnv, state: JobState, action: DisputeAction): Promise<void> {
  const validators = state.validators.map(({ validator }) => validator);
  if (action.do === 'dispute') {
    const { id, author, content } = action.complaint;
    const { round, shard } = content;
    env.progress.warn(
      `round ${round + 1}: ${author.slice(0, 12)}… says that it trained as committed: a validator is drawn to repeat the segment`,
    );
    await env.book.sign('dispute', { round, shard, complaint: id }, [author, ...validators]);
    return;
  }
  const { opened, nonces, fraud } = action.dispute;
  if (action.do === 'correct') {
    const line = correctionOf(state.jobId, state.rounds, action.dispute);
    const { round } = fraud.content;
    env.progress.warn(
      `round ${round + 1}: ${line.payee.slice(0, 12)}… trained as committed, as validators repeated it: ${line.amountMsat / 1000n} sat are settled`,
    );
    const close = state.rounds[round]!.close!.id;
    await env.book.sign('settlement', { round, close, plan: [line], totalMsat: line.amountMsat }, [line.payee]);
    return;
  }
  if (action.do === 'appeal') {
    const { round, shard, segment, repeated: hash } = fraud.content;
    const { verdict } = action;
    env.progress.warn(
      `round ${round + 1}: ${verdict.author.slice(0, 12)}… repeated a disputed segment to the committed end: the next validator is asked`,
    );
    const found = { what: 'segment' as const, segment, hash };
    const { engine } = state.job!.content.spot!;
    const detail = 'repeated before it did not end as committed';
    await env.book.sign('complaint', { round, shard, subject: verdict.id, engine, found, detail }, [verdict.author]);
    return;
  }
  if (nonces.size === 0)
    env.progress.warn(
      `round ${opened.content.round + 1}: no validator on the engine can repeat the segment, so your own word stands`,
    );
  const ids = [...nonces].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { id }]) => id);
  await env.book.sign(
    'dispute-draw',
    { round: opened.content.round, dispute: opened.id, ...(ids.length > 0 && { nonces: ids }) },
    [fraud.content.trainer, ...validators],
  );
}
