import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { potOf } from '../market/pot.js';
import { rowsOf, type StakeBook } from '../market/stake.js';
import { countedStakes } from '../market/stake-terms.js';
import type { StakeRow } from '../protocol/stake.js';

/** What is locked in a job, what was lost, and what became of it: from signed events alone. */

export interface StakesDescription {
  /** Least own stake that the job asks for. */
  readonly trainerMsat: bigint;
  readonly validatorMsat: bigint;
  /** By the last table; countedMsat is what draws and awards go by. */
  readonly staked: readonly {
    readonly pubkey: Pubkey;
    readonly role: StakeRow['role'];
    readonly ownMsat: bigint;
    readonly delegatedMsat: bigint;
    readonly countedMsat: bigint;
  }[];
  readonly slashed: readonly {
    readonly event: EventId;
    readonly lock: Sha256;
    readonly guilty: Pubkey;
    readonly owner: Pubkey;
    readonly reporter: Pubkey;
    readonly reporterMsat: bigint;
    readonly potMsat: bigint;
  }[];
  readonly pot: { readonly slashedMsat: bigint; readonly promisedMsat: bigint; readonly leftMsat: bigint };
}

interface Staked {
  readonly job: { readonly content: Parameters<typeof countedStakes>[0] } | null;
  readonly stakes: StakeBook;
  readonly rounds: readonly {
    readonly settlement: { readonly content: { readonly plan: Parameters<typeof potOf>[0]['lines'] } } | null;
  }[];
}

/** Null where the job asks for no stake. @param of  a job of any kind that settles its rounds */
export function describeStakes({ job, stakes, rounds }: Staked): StakesDescription | null {
  const terms = job?.content;
  if (terms?.stake === undefined) return null;
  const { trainerMsat, validatorMsat } = terms.stake;
  const counted = {
    trainer: countedStakes(terms, stakes, 'trainer'),
    validator: countedStakes(terms, stakes, 'validator'),
  };
  const lines = rounds.flatMap(({ settlement }) => [...(settlement?.content.plan ?? [])]);
  const { slashedMsat, promisedMsat } = potOf({ slashes: stakes.slashes, lines });
  return {
    ...{ trainerMsat, validatorMsat },
    staked: rowsOf(stakes).map(({ operator, role, ownMsat, delegatedMsat }) => ({
      ...{ pubkey: operator, role, ownMsat, delegatedMsat },
      countedMsat: counted[role].get(operator) ?? 0n,
    })),
    slashed: stakes.slashes.map(({ event, lock, guilty, owner, reporter, reporterMsat, potMsat }) => ({
      ...{ event, lock, guilty, owner, reporter, reporterMsat, potMsat },
    })),
    pot: { slashedMsat, promisedMsat, leftMsat: slashedMsat - promisedMsat },
  };
}

const sat = (msat: bigint): string => `${Number(msat) / 1000} sat`;

/** Rows of a table, for people. */
export function stakeRows(stakes: StakesDescription | null): (readonly [string, string])[] {
  if (stakes === null) return [];
  const { staked, slashed, pot } = stakes;
  const sum = staked.reduce((all, { countedMsat }) => all + countedMsat, 0n);
  return [
    ['stake', `${staked.length} keys, ${sat(sum)} count`],
    ...slashed.map(
      ({ guilty, reporter, reporterMsat, potMsat, event }) =>
        [
          'slashed',
          `${sat(reporterMsat + potMsat)} for what ${guilty} signed: ${sat(reporterMsat)} to ${reporter.slice(0, 12)}…, ${sat(potMsat)} to the pot (event ${event})`,
        ] as const,
    ),
    ...(slashed.length === 0
      ? []
      : [['pot', `${sat(pot.promisedMsat)} paid to those that worked, ${sat(pot.leftMsat)} left`] as const]),
  ];
}
