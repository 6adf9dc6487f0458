import { hex, sha256Hex, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import { publicFailure } from '../../src/market/acceptance.js';
import { foldJob } from '../../src/market/fold.js';
import { rate } from '../../src/market/reputation.js';
import { ShownBefore } from '../../src/market/shown-log.js';
import { afterTable, NO_STAKES, type StakeBook, type StakeEvent } from '../../src/market/stake.js';
import { splitReward } from '../../src/market/stake-reward.js';
import type { JobState } from '../../src/market/state.js';
import { parseJobEvent, type EventOf } from '../../src/protocol/events.js';
import { commitmentOf } from '../../src/protocol/submission.js';
import { eventHash } from '../../src/schnorr.js';
import type { AttackRow } from './attacks.js';
import { jobDump, type Sign } from './job-dump.js';

/** Attacks that need whole jobs, or the rules of acceptance and stake. */

const idOnly: Sign = (template, _secret, pubkey) => {
  const id = hex(eventHash({ ...template, pubkey })) as EventId;
  return { ...template, pubkey, id, sig: '0'.repeat(128) };
};
const named = (text: string): Sha256 => sha256Hex('market attack', text);

function oneJob(): JobState {
  const parsed = [...jobDump({ name: 'a job', trainers: 3, rounds: 2, validators: 0 }, idOnly)].map((event) =>
    parseJobEvent(event),
  );
  return foldJob(parsed[0]!.id, parsed);
}

/** Jobs that a trainer posts to itself under other keys, all accepted and paid. */
export function selfDealt(): AttackRow[] {
  const state = oneJob();
  const trainer = state.rounds[0]!.assigned[0]!.trainer;
  const by = (customer: string, i: number): JobState => ({
    ...state,
    jobId: named(`${customer} ${i}`) as string as EventId,
    job: { ...state.job!, author: named(customer) as string as Pubkey },
  });
  const friend = named('friend') as string as Pubkey;
  const rated = (jobs: readonly JobState[]) =>
    rate(jobs, trainer, 'trainer', { trusted: new Set([friend]), network: 'sandbox' }).rating;
  const jobs = (count: number, customer: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => by(customer(i), i));
  const honest = rated([by('friend', 0)]);
  // Finer steps of the same sum go a little further.
  const ofTwenty = 1.02 * rated(jobs(10, () => 'friend'));
  return [
    { setting: '1 job of a key that nobody knows', got: rated(jobs(1, () => 'shill')), most: honest },
    { setting: '200 jobs of it', got: rated(jobs(200, () => 'shill')), most: honest },
    { setting: '200 jobs of 200 such keys', got: rated(jobs(200, (i) => `shill ${i}`)), most: honest },
    { setting: '200 jobs of a customer that the reader trusts', got: rated(jobs(200, () => 'friend')), most: ofTwenty },
  ].map(({ setting, got, most }) => ({
    attack: 'self-dealt receipts',
    setting: `${setting}, 2 rounds each: rating, at most`,
    measured: got.toFixed(2),
    computed: most.toFixed(2),
    fits: got <= most,
  }));
}

/** A hundred times the stake of everybody else, for the last of 240 intervals. */
export function flashDelegation(): AttackRow[] {
  const [operator, steady, flash] = ['operator', 'steady', 'flash'].map(named) as string[] as [Pubkey, Pubkey, Pubkey];
  const event = (type: 'stake' | 'delegate', author: Pubkey, amountMsat: bigint) =>
    ({
      ...{ type, author, id: named(`event ${author}`) },
      content: { lock: named(`lock ${author}`), amountMsat, operator, role: 'trainer', sigmaPpm: 0 },
    }) as unknown as StakeEvent;
  return [1, 24, 240].map((intervals) => {
    const first = [event('stake', operator, 3_000n), event('delegate', steady, 1_000n)];
    const early = afterTable(NO_STAKES, 0, first) as StakeBook;
    const late = event('delegate', flash, 100_000n);
    const all =
      intervals === 240 ? afterTable(NO_STAKES, 0, [...first, late]) : afterTable(early, 240 - intervals, [late]);
    const { worked } = afterTable(all as StakeBook, 240, []) as StakeBook;
    const share = Number(splitReward(operator, 1_000_000n, 0, worked.get(operator)!).get(flash)!) / 1e6;
    const computed = (100 * intervals) / (4 * 240 + 100 * intervals);
    return {
      attack: 'flash delegation',
      setting: `100 times the delegated stake for ${intervals} of 240 intervals: share of the reward`,
      measured: `${(100 * share).toFixed(2)} %`,
      computed: `${(100 * computed).toFixed(2)} %`,
      fits: Math.abs(share - computed) < 2e-6,
    };
  });
}

/** Whoever shows the base, the bytes of another, or those of an earlier round is paid nothing. */
export function freeRiding(): AttackRow[] {
  const base = named('base');
  const [thief, victim] = [named('thief'), named('victim')] as string[] as [Pubkey, Pubkey];
  const job = named('job') as string as EventId;
  const shown = (trainer: Pubkey, shard: number, updateHash: Sha256) => {
    const opening = {
      job,
      round: 3,
      shard,
      trainer,
      baseHash: base,
      updateHash,
      checkpoints: [],
      salt: new Uint8Array(32),
    };
    const commit = { author: trainer, content: { commitment: commitmentOf(opening) } } as EventOf<'commit'>;
    const reveal = { author: trainer, content: { ...opening, engine: 'wasm' } } as unknown as EventOf<'reveal'>;
    return { commit, reveal };
  };
  const verdict = (updateHash: Sha256): string => {
    const [a, b] = [shown(thief, 0, updateHash), shown(victim, 1, named('work'))];
    const failure = publicFailure(
      {
        ...{
          job,
          round: 3,
          baseHash: base,
          lossBeforePpm: null,
          strictLoss: false,
          engine: null,
          codec: { name: 'f32' },
        },
        assigned: [
          { trainer: thief, shard: 0 },
          { trainer: victim, shard: 1 },
        ],
        commits: new Map([a, b].map(({ commit }, shard) => [shard, commit])),
        reveals: new Map([a, b].map(({ reveal }, shard) => [shard, reveal])),
        shownBefore: new ShownBefore(new Map([[named('old work'), { round: 1, trainer: victim }]]), 3),
        residuals: new Map(),
      },
      0,
    );
    return failure?.rule ?? 'accepted';
  };
  return (
    [
      ['idling', 'shows the base of the round', base, 'unchanged'],
      ['copying', 'shows another’s update of this round', named('work'), 'copy'],
      ['copying', 'shows an update of an earlier round', named('old work'), 'copy'],
    ] as const
  ).map(([attack, what, update, rule]) => {
    const measured = verdict(update);
    return { attack, setting: `${what}: rejected by`, measured, computed: rule, fits: measured === rule };
  });
}
