import type { Clock, Stake } from '../ports.js';
import type { JobFile } from '../roles/job-file.js';
import { openLedger, type LedgerRecord } from '../wallet/ledger.js';
import { sandboxStake } from '../wallet/sandbox-stake.js';
import { memoryJournal } from './memory-journal.js';
import type { Participant } from './participant.js';

/** Where everybody locks its stake, out of play money that is no limit. */
export type StakeOf = (who: Participant) => () => Promise<Stake>;

/** Of each participant, as much as any job may ask. */
export const STAKE_FUNDS_MSAT = 2_100_000_000_000_000_000n;

/** Null: the job asks nobody for a stake, and its events are those of a market without a keeper. */
export async function memoryStakes(
  { trainerStakeSats, validatorStakeSats, keyRelease }: JobFile,
  people: readonly Participant[],
  clock: Clock,
): Promise<StakeOf | null> {
  if (trainerStakeSats === 0 && validatorStakeSats === 0 && keyRelease !== 'staked') return null;
  const ledger = await openLedger(memoryJournal<LedgerRecord>([], (record) => record));
  for (const { name } of people) await ledger.fundOnce(name, STAKE_FUNDS_MSAT);
  return (who) => async () => sandboxStake(ledger, who.name, clock);
}
