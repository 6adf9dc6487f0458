import { z } from 'zod';
import { labelContext } from '../../src/blob/keys.js';
import { sealBlob } from '../../src/blob/blob.js';
import { uploadBlob } from '../../src/blob/transfer.js';
import { sha256Hex, type Sha256 } from '../../src/hash.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { trainingSeed } from '../../src/learning/seeds.js';
import { stateHash } from '../../src/learning/train-state.js';
import type { Examples, ParamSet, TrainState } from '../../src/learning/types.js';
import { drawnSegmentOf } from '../../src/market/spot-rules.js';
import { acceptedRounds, chainTip, type JobState, type RoundState } from '../../src/market/state.js';
import type { EventTemplate, Signer } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { COMMIT, commitmentOf, sealedUpdate, type SealedUpdate } from '../../src/protocol/submission.js';
import { blobSecrets, publishParams, stateLabel, updateLabel } from '../../src/roles/round-blobs.js';
import { openBase } from '../../src/roles/trainer-base.js';
import { roundGrantFor, shardGrantFor, type ServeEnd, type TrainerEnv } from '../../src/roles/trainer.js';
import { answerGrant, bid, claim, countersign, markUnpaid, voidClaim } from '../../src/roles/trainer-actions.js';
import { openedShard } from '../../src/roles/trainer-grant.js';
import { decideTrainer } from '../../src/roles/trainer-decide.js';
import { keepSalt } from '../support/secrets/outputs.js';

/** What a cheat has in a round before it commits. */
export interface Loot {
  readonly env: TrainerEnv;
  readonly state: JobState;
  readonly round: RoundState;
  readonly shard: number;
  readonly base: ParamSet;
  /** Canonical bytes of honest work. */
  readonly honest: Uint8Array;
  /** Canonical bytes of the same training from another model, or on other data. */
  readonly trainFrom: (base: ParamSet, examples?: Examples) => Promise<Uint8Array>;
  /** States between the segments of that work, in order. */
  readonly states: readonly TrainState[];
}

export interface Forgery {
  /** Sealed and published; default: honest work. */
  readonly bytes?: Uint8Array;
  /** Committed to and revealed; default: of `bytes`. */
  readonly updateHash?: Sha256;
  readonly baseHash?: Sha256;
  /** Default: the one it was given. */
  readonly shard?: number;
  /** `late`: only once the list of commitments is out. `twice`: two of them at one place of its chain. */
  readonly commits?: 'late' | 'twice';
  /** False: commits and then says no more. */
  readonly reveals?: boolean;
  /** Another content than the commitment's; sees what others revealed before. */
  readonly revealed?: (round: RoundState) => { readonly updateHash?: Sha256; readonly salt?: Uint8Array };
  readonly publishesChunks?: boolean;
  readonly sealedText?: string;
  /** Between the segments; default: those of honest work. */
  readonly checkpoints?: readonly Sha256[];
  /** Shown for the drawn segment; default: the honest one. */
  readonly stateOf?: (segment: number) => ParamSet | null;
}
/** Null: nothing at all. */
export type Forge = (loot: Loot) => Forgery | null | Promise<Forgery | null>;

/** A trainer that bids, claims and countersigns like others, and forges its updates. */
export function rogueTrainer(forge: Forge): (env: TrainerEnv) => Promise<ServeEnd> {
  return async (env) => {
    const me = env.signer.pubkey;
    const forged = new Map<string, Made | null>();
    const nameOf = ({ round }: RoundState, shard: number): string => `${round}/${shard}`;
    for (;;) {
      const now = env.clock.nowSec();
      const state = env.book.state();
      const action = decideTrainer(
        state,
        {
          me,
          hasShardGrant: (seat) => shardGrantFor(env, state, seat) !== undefined,
          hasRoundGrant: (round, { shard }) =>
            roundGrantFor(env, state, round) !== undefined && !forged.has(nameOf(round, shard)),
          canReveal: () => true,
          republished: () => Infinity,
          held: new Set(),
          heardAt: now,
          deafAt: 0,
          maxExposureMsat: 10n ** 12n,
        },
        now,
      );
      if (action.do === 'done') return { wasOver: false, end: 'done', rounds: acceptedRounds(state, me), paidMsat: 0n };
      if (action.do === 'lost') return { wasOver: false, end: 'lost', why: action.why };
      if (action.do === 'accused') return { wasOver: false, end: 'lost', why: 'a proven fraud' };
      if (action.do === 'stop') return { wasOver: false, end: 'stopped', why: action.why };
      if (action.do === 'bid') await bid(env);
      else if (action.do === 'answer-grant')
        await answerGrant(env, state, action.assignment, shardGrantFor(env, state, action.assignment)!);
      else if (action.do === 'claim') await claim(env, state, action.payout);
      else if (action.do === 'countersign') await countersign(env, state, action.round, action.payout);
      else if (action.do === 'void-claim') await voidClaim(env, state, action.payout);
      else if (action.do === 'mark-unpaid') await markUnpaid(env, action.payout);
      else if (action.do === 'train') {
        const loot = await train(env, state, action.round, action.shard);
        const forgery = await forge(loot);
        const { honest, states } = loot;
        const made = forgery && { forgery, bytes: forgery.bytes ?? honest, states, salt: keepSalt(env.random(32)) };
        forged.set(nameOf(action.round, action.shard), made);
        if (forgery?.commits === 'twice') {
          await commitTwice(env, action.round, action.shard, made!);
          return { wasOver: false, end: 'lost', why: 'its own chain is forked' };
        }
        if (forgery?.commits === 'late') await untilListed(env, action.round);
        if (made !== null) await commit(env, action.round, action.shard, made);
      } else if (action.do === 'reveal' && forged.get(nameOf(action.round, action.shard))!.forgery.reveals !== false)
        await reveal(env, action.round, action.shard, forged.get(nameOf(action.round, action.shard))!);
      else await env.bell.wait(10_000, env.signal);
    }
  };
}

async function train(env: TrainerEnv, state: JobState, round: RoundState, shard: number): Promise<Loot> {
  const { model, hyper } = state.job!.content;
  const base = await openBase(env, state, round, roundGrantFor(env, state, round)!.grant);
  const seat = round.assigned.find((candidate) => candidate.shard === shard)!;
  const { grant } = shardGrantFor(env, state, seat)!;
  const { seed } = grant;
  const own = await openedShard(env, state, grant);
  const engine = await env.engine();
  const { spot } = state.job!.content;
  const states: TrainState[] = [];
  const { weights } = await engine.train(
    {
      ...{ model, hyper, weights: base, examples: own },
      seed: trainingSeed(seed, round.round, shard, env.signer.pubkey),
      ...(spot !== null && { stateEvery: spot.everySteps }),
    },
    undefined,
    undefined,
    (one) => states.push(one),
  );
  const trainFrom = async (from: ParamSet, examples = own): Promise<Uint8Array> => {
    const seeds = { seed: trainingSeed(seed, round.round, shard, env.signer.pubkey) };
    return encodeParams((await engine.train({ ...{ model, hyper, weights: from, examples }, ...seeds })).weights);
  };
  return { env, state, round, shard, base, honest: encodeParams(weights), states, trainFrom };
}

async function untilListed(env: TrainerEnv, { round }: RoundState): Promise<void> {
  while (env.book.state().rounds[round]!.commitList === null) await env.bell.wait(10_000, env.signal);
}

interface Made {
  readonly forgery: Forgery;
  readonly bytes: Uint8Array;
  readonly states: readonly TrainState[];
  readonly salt: Uint8Array;
}

function claimed(
  { book }: TrainerEnv,
  round: RoundState,
  shard: number,
  { forgery, bytes, states, salt }: Made,
  me: Signer,
) {
  const baseHash = forgery.baseHash ?? round.open.content.base.sha256;
  const updateHash = forgery.updateHash ?? sha256Hex(bytes);
  const checkpoints = [...(forgery.checkpoints ?? states.map(stateHash))];
  return { job: book.jobId, round: round.round, shard, trainer: me.pubkey, baseHash, updateHash, checkpoints, salt };
}

async function commit(env: TrainerEnv, round: RoundState, shard: number, made: Made): Promise<void> {
  await env.book.sign('commit', commitContent(env, round, shard, made));
}

function commitContent(env: TrainerEnv, round: RoundState, given: number, made: Made) {
  const shard = made.forgery.shard ?? given;
  const commitment = commitmentOf(claimed(env, round, shard, made, env.signer));
  return { round: round.round, shard, open: round.open.id, commitment };
}

/** Two commitments with one seq: whatever the others find later, it could reveal the better one. */
async function commitTwice(env: TrainerEnv, round: RoundState, shard: number, made: Made): Promise<void> {
  const link = { job: env.book.jobId, ...chainTip(env.book.state(), env.signer.pubkey) };
  const twins = [made, { ...made, salt: new Uint8Array(32) }].map((one) =>
    env.signer.sign(COMMIT.build(link, commitContent(env, round, shard, one), env.clock.nowSec())),
  );
  await Promise.all((await Promise.all(twins)).map((twin) => env.relays.publish(twin)));
}

async function reveal(env: TrainerEnv, round: RoundState, shard: number, made: Made): Promise<void> {
  const { forgery, bytes } = made;
  const job = env.book.state().job!;
  const { key, upload } = blobSecrets(made.salt, 'update', round.round);
  const sealed = sealBlob(bytes, {
    key,
    uploadSecret: upload,
    context: labelContext(updateLabel(job.id, round.round, shard, env.signer.pubkey)),
    part: 0,
    baseTimeSec: job.createdAt,
    expirationSec: job.content.deadline,
    inline: forgery.publishesChunks === false ? 'never' : 'allow',
  });
  if (forgery.publishesChunks !== false) await uploadBlob(env.relays, sealed.events);
  const pointer = { ...sealed.pointer, ids: [...sealed.pointer.ids] };
  const state = await showState(env, round, shard, made);
  const text = forgery.sealedText ?? JSON.stringify(z.encode(sealedUpdate, { key, pointer, state }));
  const { salt, baseHash, updateHash, checkpoints } = claimed(env, round, shard, made, env.signer);
  await env.book.sign('reveal', {
    ...{
      round: round.round,
      shard,
      list: round.commitList!.id,
      commit: round.listedCommits.get(shard)!.id,
    },
    ...{ salt, baseHash, updateHash, checkpoints, engine: (await env.engine()).id },
    sealed: await env.signer.encrypt(job.author, text),
    ...(sealed.inline === undefined ? {} : { inline: sealed.inline }),
    ...forgery.revealed?.(round),
  });
}

async function showState(
  env: TrainerEnv,
  round: RoundState,
  shard: number,
  made: Made,
): Promise<SealedUpdate['state']> {
  const { forgery, states, salt } = made;
  const state = env.book.state();
  const me = env.signer.pubkey;
  const segment =
    drawnSegmentOf(state, round, { trainer: me, shard }, forgery.checkpoints?.length ?? states.length) ?? 0;
  if (segment === 0) return null;
  const tensors = forgery.stateOf === undefined ? states[segment - 1]!.tensors : forgery.stateOf(segment);
  if (tensors === null) return null;
  const { pointer } = await publishParams(env.relays, tensors, {
    ...{ secret: salt, purpose: 'state', index: round.round, label: stateLabel(state.jobId, round.round, shard, me) },
    ...{ dateSec: state.job!.createdAt, expirationSec: state.job!.content.deadline, inline: 'never' },
  });
  return { key: blobSecrets(salt, 'state', round.round).key, pointer };
}

/** Says that it went through states which it never reached; its update is good work. */
export const madeUpStates: Forge = ({ states }) => {
  const made = states.map(({ step, tensors }, i) => ({
    step,
    tensors: tensors.map((tensor) => ({ ...tensor, data: tensor.data.map((value) => value + 1 + i) })),
  }));
  return { checkpoints: made.map(stateHash), stateOf: (segment) => made[segment - 1]!.tensors };
};

/** Signs something else than it was asked to; `change` sees the content by `phase` (or kind) and returns another, or undefined. */
export function tampering(
  signer: Signer,
  change: (phase: string, content: Record<string, unknown>) => Record<string, unknown> | undefined,
): Signer {
  return {
    ...signer,
    async sign(template: EventTemplate) {
      const phase = tagValue(template, 'phase') ?? String(template.kind);
      const isJson = template.content.startsWith('{');
      const other = isJson ? change(phase, JSON.parse(template.content) as Record<string, unknown>) : undefined;
      return signer.sign(other === undefined ? template : { ...template, content: JSON.stringify(other) });
    },
  };
}
