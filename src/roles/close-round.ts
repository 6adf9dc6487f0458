import type { EventId, Sha256 } from '../hash.js';
import type { ParamSet } from '../learning/types.js';
import type { Acceptance, Finding } from '../market/acceptance.js';
import { contradictions } from '../market/contradictions.js';
import { committedEnd, isProvenFraud } from '../market/spot-rules.js';
import { quorumOf, type JobState, type RoundState, type Verdict } from '../market/state.js';
import type { ContentOf } from '../protocol/events.js';
import type { CustomerEnv } from './customer-env.js';
import { accuracyPpm, judgeRound, measuredPpm } from './measure.js';
import { makeRoot, publishRoot } from './root-update.js';

/** The end of a round by its verdict, on any rail: proofs, acceptance, and the close or its void. */

/** A model, as the close names it. */
export interface Closing {
  readonly params: ParamSet;
  readonly hash: Sha256;
  readonly outerHash?: Sha256 | undefined;
}

/**
 * Says who is not paid, and what everybody may see of it; below the quorum the round is void.
 *
 * @param base     what the round started from
 * @param modelOf  the model that the close names, by accepted updates and the customer's own of rule `fltrust`; kept before it is signed
 */
export async function closeRound(
  env: CustomerEnv,
  state: JobState,
  round: RoundState,
  {
    verdict,
    findings,
    base,
  }: {
    readonly verdict: Verdict;
    readonly findings: ReadonlyMap<number, Finding>;
    readonly base: ParamSet;
  },
  modelOf: (accepted: Acceptance['accepted'], root: ParamSet | null) => Promise<Closing>,
): Promise<void> {
  const job = state.job!;
  await publishFrauds(env, round, verdict);
  await publishContradictions(env, round);
  const { accepted, rejected } = judgeRound(job, round, findings, verdict.rows);
  for (const { trainer, rule, detail } of rejected)
    env.progress.warn(`round ${round.round + 1}: ${trainer.slice(0, 12)}… is not paid: ${rule} (${detail})`);
  if (accepted.length < quorumOf(job.content, round)) return voidRound(env, round.round);
  const root = await makeRoot(env, state, round, base);
  const model = await modelOf(accepted, root);
  const measured = await measuredModel(env, state, model);
  await env.book.sign(
    'close',
    {
      ...{ round: round.round, list: round.revealList!.id, scores: verdict.by },
      accepted: accepted.map(({ submission, trainer, shard }) => ({ submission, trainer, shard })),
      rejected: rejected.map(({ submission, trainer, shard, rule, detail }) => {
        return { submission, trainer, shard, rule, detail };
      }),
      ...measured,
      ...(root !== null && { root: await publishRoot(env, state, round, root) }),
    },
    round.assigned.map((seat) => seat.trainer),
  );
}

/** What is signed of a model: its hash, what the outer step keeps beside it, and how good it is on set A. */
export async function measuredModel(
  env: CustomerEnv,
  { job }: JobState,
  { params, hash, outerHash }: Closing,
): Promise<Pick<ContentOf<'close'>, 'aggregate' | 'outerState' | 'lossPpm' | 'accuracyPpm' | 'engine'>> {
  const engine = await env.engine();
  const measured = await engine.evaluate(job!.content.model, params, await env.data.evaluationA());
  return {
    aggregate: hash,
    ...(outerHash !== undefined && { outerState: outerHash }),
    ...{ lossPpm: measuredPpm(measured), accuracyPpm: accuracyPpm(measured), engine: engine.id },
  };
}

/** What a whole training ended in here, kept until the proof is signed. */
export const endsFile = (submission: EventId) => `ends-${submission}.json`;

/** Nothing where only the drawn segment was repeated, or by others. */
async function keptEnds(env: CustomerEnv, submission: EventId): Promise<{ readonly ends?: Sha256[] }> {
  // Others have no use for them.
  if (env.book.state().job!.content.disputes === undefined) return {};
  const file = await env.files.read(endsFile(submission));
  return file === undefined ? {} : { ends: JSON.parse(Buffer.from(file).toString()) as Sha256[] };
}

/** A repetition that ends elsewhere is made public, once per trainer: it ends the trainer's award. */
async function publishFrauds(env: CustomerEnv, round: RoundState, { by, from, rows }: Verdict): Promise<void> {
  for (const row of rows) {
    const { trainer, shard, submission, spot } = row;
    const reveal = round.listedReveals.get(shard)!;
    if (!isProvenFraud(reveal, row) || env.book.state().frauds.has(trainer)) continue;
    const { segment, hash: repeated } = spot!;
    const committed = committedEnd(reveal.content, segment)!;
    await env.book.sign(
      'fraud',
      {
        ...{ round: round.round, shard, trainer, submission, scores: by, segment, committed, repeated },
        ...(from === 'customer' && (await keptEnds(env, submission))),
      },
      [trainer],
    );
  }
}

/** Scores that most on the same engine contradict end their validator's seat: once per validator. */
async function publishContradictions(env: CustomerEnv, round: RoundState): Promise<void> {
  for (const one of contradictions(round)) {
    if (env.book.state().validatorFrauds.has(one.validator)) continue;
    env.progress.warn(
      `round ${round.round + 1}: ${one.validator.slice(0, 12)}… signed a score that no engine measures`,
    );
    const { witnesses, ...rest } = one;
    await env.book.sign('validator-fraud', { round: round.round, ...rest, witnesses: [...witnesses] }, [one.validator]);
  }
}

export async function voidRound(env: CustomerEnv, round: number, isDegraded = false): Promise<void> {
  env.progress.warn(`round ${round + 1} is void: fewer accepted updates than the quorum`);
  await env.book.sign('void', { round, reason: 'no-quorum', ...degraded(isDegraded) });
}

/** Said on events that rest on something that too few relays were asked about. */
export function degraded(isDegraded: boolean): { readonly degraded?: true } {
  return isDegraded ? { degraded: true } : {};
}
