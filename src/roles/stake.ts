import { NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { stakeToPut } from '../market/stake-terms.js';
import type { AnyJobState } from '../market/state.js';
import type { JobTerms } from '../protocol/job.js';
import type { EventOf } from '../protocol/events.js';
import { lockId, type STAKED_ROLES } from '../protocol/stake.js';
import type { Stake, StakeLock } from '../ports.js';
import type { JobBook } from './job-book.js';

/** What a staker or delegator does in a job: lock, then say so; say that it leaves, then let the lock go. Each step may be repeated. */

/** A job of any kind that may ask for stake. */
export interface StakedJob extends AnyJobState {
  readonly job: {
    readonly author: Pubkey;
    readonly content: Pick<JobTerms, 'stake'> & Partial<Pick<JobTerms, 'keyRelease'>>;
  } | null;
  readonly phase: string;
}
type StakedBook = Pick<JobBook<StakedJob>, 'jobId' | 'state' | 'sign'>;

type Staked = EventOf<'stake'> | EventOf<'delegate'>;
export interface StakeWish {
  readonly amountMsat: bigint;
  /** Itself: a stake; somebody else: a delegation. */
  readonly operator: Pubkey;
  readonly role: (typeof STAKED_ROLES)[number];
  readonly sigmaPpm: number;
  /** Beside what stands already. */
  readonly isMore: boolean;
}

/** Own stakes and delegations of the job, oldest first, with whether they were taken back. */
export function ownStakes(
  { chains }: Pick<AnyJobState, 'chains'>,
  me: Pubkey,
): { event: Staked; isLeaving: boolean }[] {
  const own = chains.get(me)?.events ?? [];
  const left = new Set(own.flatMap((event) => (event.type === 'withdraw' ? [event.content.of] : [])));
  return own
    .filter((event): event is Staked => event.type === 'stake' || event.type === 'delegate')
    .map((event) => ({ event, isLeaving: left.has(event.id) }));
}

const operatorOf = (event: Staked): Pubkey => (event.type === 'stake' ? event.author : event.content.operator);

/**
 * Killed between lock and event, the next call finds the same lock, whose name follows from what was said so far.
 *
 * @returns the event that stands, and whether it is new
 */
export async function putStake(
  book: StakedBook,
  stake: Stake,
  me: Pubkey,
  wish: StakeWish,
): Promise<{ readonly event: Staked; readonly isNew: boolean }> {
  const { operator, amountMsat } = wish;
  const mine = ownStakes(book.state(), me).filter(({ event }) => operatorOf(event) === operator);
  const standing = mine.find(({ isLeaving }) => !isLeaving)?.event;
  if (standing !== undefined && !wish.isMore) return { event: standing, isNew: false };
  requireOpen(book.state());
  const lock = lockId(book.jobId, me, operator, mine.length);
  await stake.lock({ lock, job: book.jobId, staker: me, amountMsat });
  const customer = book.state().job!.author;
  const event =
    operator === me
      ? await book.sign('stake', { lock, amountMsat, role: wish.role, sigmaPpm: wish.sigmaPpm }, [customer])
      : await book.sign('delegate', { lock, amountMsat, operator }, [customer, operator]);
  return { event, isNew: true };
}

/** Where an own stake is locked, and how much of it a job may ask. */
export interface OwnStake {
  stake(): Promise<Stake | null>;
  readonly maxMsat: bigint;
}
/** What an operator keeps of its reward before its delegators share in it, unless it staked with another share before. */
export const SIGMA_PPM = 400_000;

/**
 * The lock that a bid or a registration names: of the own stake that stands; what is missing of what the job asks is put now.
 * Undefined: there is none, and the job may do without.
 */
export async function lockFor(
  book: StakedBook,
  me: Pubkey,
  role: StakeWish['role'],
  own: OwnStake | undefined,
): Promise<Sha256 | undefined> {
  const state = book.state();
  if (state.job!.content.stake === undefined) return undefined;
  const standing = ownStakes(state, me).flatMap(({ event, isLeaving }) =>
    event.type === 'stake' && !isLeaving ? [event.content] : [],
  );
  const first = standing[0];
  const { stake: terms, keyRelease = 'open' } = state.job!.content;
  const asked = stakeToPut({ stake: terms, keyRelease }, role);
  const missing = standing.reduce((left, { amountMsat }) => left - amountMsat, asked);
  if (missing <= 0n || own === undefined || asked > own.maxMsat) return first?.lock;
  const stake = await own.stake();
  if (stake === null) return first?.lock;
  const sigmaPpm = first?.sigmaPpm ?? SIGMA_PPM;
  const wish = { amountMsat: missing, operator: me, role, sigmaPpm, isMore: first !== undefined };
  return (await putStake(book, stake, me, wish)).event.content.lock;
}

/** @returns every own lock of the job that was asked back, now or before, with what became of it */
export async function takeBack(
  book: StakedBook,
  stake: Stake,
  me: Pubkey,
  only?: EventId,
): Promise<readonly StakeLock[]> {
  const mine = ownStakes(book.state(), me).filter(({ event }) => only === undefined || event.id === only);
  if (mine.length === 0)
    throw new NmktError('not-awarded', 'this key has nothing staked in the job', {
      expected: only === undefined ? 'a stake or delegation of this key' : `one with the id ${only}`,
      got: 'none',
      remedy: 'run it with --home and --settings of who staked',
    });
  for (const { event, isLeaving } of mine)
    if (!isLeaving) await book.sign('withdraw', { of: event.id }, [book.state().job!.author]);
  const locks: StakeLock[] = [];
  for (const { event } of mine) {
    const found = await stake.find(event.content.lock);
    if (found !== null) locks.push(await letGo(stake, found));
  }
  return locks;
}

/** Not before it is free: then it is told, and asked again another time. */
async function letGo(stake: Stake, found: StakeLock): Promise<StakeLock> {
  try {
    return await stake.release(found.lock);
  } catch (error) {
    if (error instanceof NmktError && error.code === 'not-ready') return found;
    throw error;
  }
}

/** @throws NmktError `job-closed` */
function requireOpen({ phase, jobId }: StakedJob): void {
  if (phase !== 'finished' && phase !== 'cancelled' && phase !== 'frozen') return;
  throw new NmktError('job-closed', 'there is nothing left to stake for', {
    expected: 'a job that goes on',
    got: `a job that is ${phase}`,
    remedy: `nmkt status ${jobId}`,
  });
}
