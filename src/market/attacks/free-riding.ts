import type { EventId, Pubkey, Sha256 } from '../../hash.js';
import type { EventOf } from '../../protocol/events.js';
import { commitmentOf } from '../../protocol/submission.js';
import { publicFailure } from '../acceptance.js';
import { ShownBefore } from '../shown-log.js';
import { named, type AttackRow } from './row.js';

/** Whoever shows the base, the bytes of another, or those of an earlier round is paid nothing. */
export function freeRiding(): AttackRow[] {
  return (
    [
      ['idling', 'shows the base of the round', named('base'), 'unchanged'],
      ['copying', 'shows another’s update of this round', named('work'), 'copy'],
      ['copying', 'shows an update of an earlier round', named('old work'), 'copy'],
    ] as const
  ).map(([attack, what, update, computed]) => {
    const measured = verdict(update);
    const setting = `${what}: rejected by`;
    return { attack, setting, unit: 'rule', measured, computed, fits: measured === computed };
  });
}

/** On an update beside that of a trainer that worked. */
function verdict(updateHash: Sha256): string {
  const [thief, victim] = [named('thief'), named('victim')] as string[] as [Pubkey, Pubkey];
  const [a, b] = [shown(thief, 0, updateHash), shown(victim, 1, named('work'))];
  const failure = publicFailure(
    {
      ...{
        job: JOB,
        round: 3,
        baseHash: named('base'),
        lossBeforePpm: null,
        strictLoss: false,
        leastWorkPpm: null,
        engine: null,
        isSale: false,
      },
      codec: { name: 'f32' },
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
}

const JOB = named('job') as string as EventId;

function shown(trainer: Pubkey, shard: number, updateHash: Sha256) {
  const opening = {
    ...{ job: JOB, round: 3, shard, trainer, baseHash: named('base'), updateHash, checkpoints: [] },
    salt: new Uint8Array(32),
  };
  const commit = { author: trainer, content: { commitment: commitmentOf(opening) } } as EventOf<'commit'>;
  const reveal = { author: trainer, content: { ...opening, engine: 'wasm' } } as unknown as EventOf<'reveal'>;
  return { commit, reveal };
}
