import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { condemnation } from '../market/keeper-proof.js';
import { partMsat, slashShares, type Part } from '../market/slashing.js';
import { parseJobEvent, type JobEvent } from '../protocol/events.js';
import { lockId } from '../protocol/stake.js';
import type { Clock, NostrEvent, Stake, StakeLock, StakeRequest } from '../ports.js';
import { hasValidSignature } from '../schnorr.js';
import type { Ledger, LedgerTransfer } from './ledger.js';

/** From the request to leave on: what it stood behind can still be condemned. A day, as the stake tables count it. */
export const COOLDOWN_SEC = 86_400;

/**
 * Stake in the sandbox's books: a lock is an account of its own, and what happens to it are transfers that each count once. Play money, and
 * one keeper: everybody here trusts the sandbox.
 *
 * @param account  whose money it is, and who reports
 * @param payInvoice  out of an account of these books, which holds what it asks
 */
export function sandboxStake(
  ledger: Ledger,
  account: string,
  clock: Clock,
  payInvoice?: (from: string, invoice: string, msat: bigint) => ReturnType<Stake['pay']>,
): Stake {
  const find = (lock: Sha256): StakeLock | null => stateOf(ledger, lock);
  const move = (id: string, from: string, to: LedgerTransfer['to'], note: LedgerTransfer['note']) =>
    ledger.transfer({ id, from, to, note, atSec: clock.nowSec() });
  const need = (lock: Sha256): StakeLock => {
    const found = find(lock);
    if (found !== null) return found;
    throw wrong('bad-usage', `no lock ${lock.slice(0, 12)}… is known here`, 'an own lock', 'none', 'nmkt stake JOB');
  };
  const owned = (lock: Sha256): void => {
    const owner = ledger.findTransfer(`lock:${lock}`)!.from;
    if (owner !== account)
      throw wrong('bad-usage', 'the lock is another account’s', account, owner, 'use the wallet that locked it');
  };

  /** What another took of it meanwhile counts, under its own name. */
  const take = async (lock: Sha256, part: Part | null): Promise<void> => {
    const before = find(lock)!;
    const { job, amountMsat, taken } = before;
    if (part !== null && taken.some((one) => one.part === part.name)) return;
    const msat = part === null ? leftOf(before) : partMsat(amountMsat, leftOf(before), part);
    const { reporterMsat, potMsat } = slashShares(msat);
    const shares = [
      { account, msat: reporterMsat },
      { account: `pot:${job}`, msat: potMsat },
    ];
    if (part === null) return void (await move(`out:${lock}`, nameOf(lock), shares, { end: 'slashed' }));
    const made = await move(partId(lock, taken.length), nameOf(lock), shares, { part: part.name });
    if (made !== undefined && made.note['part'] !== part.name) await take(lock, part);
  };

  return {
    find: async (lock) => find(lock),
    async lock({ lock, job, staker, amountMsat }: StakeRequest) {
      const to = [{ account: nameOf(lock), msat: amountMsat }];
      const made = await move(`lock:${lock}`, account, to, { job, staker });
      if (made === undefined) {
        const has = `${ledger.balanceMsat(account)} msat`;
        throw wrong('payment-failed', 'the balance is too small to lock', `${amountMsat} msat`, has, 'stake less');
      }
      const found = find(lock)!;
      const isSame = found.job === job && found.staker === staker && found.amountMsat === amountMsat;
      if (isSame && made.from === account) return found;
      throw wrong(
        'bad-usage',
        'that lock is in use',
        `${amountMsat} msat`,
        `${found.amountMsat} msat`,
        'take another number',
      );
    },
    async release(lock) {
      const before = need(lock);
      owned(lock);
      if (before.state === 'locked') await move(`leave:${lock}`, account, [], {});
      const { state, freeAt } = find(lock)!;
      if (state !== 'leaving') return find(lock)!;
      if (clock.nowSec() < freeAt!) {
        if (before.state === 'locked') return find(lock)!;
        const when = new Date(freeAt! * 1000).toISOString();
        throw wrong('not-ready', 'the stake is still cooling down', when, 'an earlier time', 'run it again then');
      }
      await move(`out:${lock}`, nameOf(lock), [{ account, msat: leftOf(find(lock)!) }], { end: 'released' });
      return find(lock)!;
    },
    async slash(lock, evidence) {
      const { job, staker, state } = need(lock);
      const found = condemnation({ lock, job, staker }, evidence.map(checked), (key) => ownStake(ledger, job, key));
      if (found === null)
        throw wrong(
          ...(['bad-event', 'that evidence condemns nobody who staked here'] as const),
          `two commitments or reveals of ${staker.slice(0, 12)}… for one seat of its job, what its validators contradicted, or a vote that lost where the job takes stake for it`,
          'none such',
          'absence and disagreement cost reward, never stake',
        );
      if (ledger.findTransfer(`lock:${lock}`)!.from === account)
        throw wrong('bad-usage', 'nobody reports itself', 'another account', account, 'let somebody else report it');
      if (state === 'locked' || state === 'leaving') await take(lock, found.part);
      return find(lock)!;
    },
    async pay({ job, settlement, payout, invoice }) {
      const { msat, payee } = bonusOf(checked(job), checked(settlement), payout);
      // What was set aside for a payout pays it, however often it is asked for; a second invoice finds nothing left.
      const aside = { account: `payout:${payout}`, msat };
      const made = await move(`payout:${payout}`, `pot:${job.id}`, [aside], { job: job.id, payee });
      if (made === undefined || payInvoice === undefined) {
        const has = `${ledger.balanceMsat(`pot:${job.id}`)} msat`;
        throw wrong('payment-failed', 'the pot of the job does not hold that', `${msat} msat`, has, 'nmkt audit JOB');
      }
      return payInvoice(aside.account, invoice, msat);
    },
  };
}

/** @throws NmktError `bad-event` */
function bonusOf(
  job: JobEvent,
  settlement: JobEvent,
  payout: Sha256,
): { readonly msat: bigint; readonly payee: string } {
  const plan =
    job.type === 'job' && settlement.type === 'settlement' && settlement.job === job.id
      ? settlement.content.plan
      : job.type === 'alliance-job' && settlement.type === 'alliance-settlement' && settlement.job === job.id
        ? settlement.content.plan
        : [];
  const line = plan.find((one) => one.payout === payout);
  const isPromised = line?.purpose === 'bonus' && line.payee !== job.author && settlement.author === job.author;
  if (isPromised) return { msat: line.amountMsat, payee: line.payee };
  throw wrong(
    'bad-event',
    'no settlement of that job promises this out of its pot',
    'a bonus',
    'none',
    'nmkt audit JOB',
  );
}

const nameOf = (lock: Sha256): string => `lock:${lock}`;
const partId = (lock: Sha256, number: number): string => `part:${lock}:${number}`;

function leftOf({ amountMsat, taken }: Pick<StakeLock, 'amountMsat' | 'taken'>): bigint {
  return taken.reduce((left, one) => left - one.amountMsat, amountMsat);
}

/** What a key still has locked behind itself in a job. */
function ownStake(ledger: Ledger, job: EventId, staker: Pubkey): bigint {
  let sum = 0n;
  for (let number = 0; ; number++) {
    const found = stateOf(ledger, lockId(job, staker, staker, number));
    if (found === null) return sum;
    const isOwn = found.job === job && found.staker === staker;
    if (isOwn && (found.state === 'locked' || found.state === 'leaving')) sum += leftOf(found);
  }
}

function takenOf(ledger: Ledger, lock: Sha256): StakeLock['taken'] {
  const taken: { part: string; amountMsat: bigint }[] = [];
  for (;;) {
    const made = ledger.findTransfer(partId(lock, taken.length));
    if (made === undefined) return taken;
    taken.push({ part: made.note['part']!, amountMsat: made.to.reduce((sum, { msat }) => sum + msat, 0n) });
  }
}

/** Out of a lock goes one transfer: a lock that was released is not slashed any more, nor the other way round. */
function stateOf(ledger: Ledger, lock: Sha256): StakeLock | null {
  const made = ledger.findTransfer(`lock:${lock}`);
  if (made === undefined) return null;
  const [left, out] = [ledger.findTransfer(`leave:${lock}`), ledger.findTransfer(`out:${lock}`)];
  const amountMsat = made.to[0]!.msat;
  const taken = takenOf(ledger, lock);
  const isEmpty = leftOf({ amountMsat, taken }) === 0n;
  const open = left === undefined ? 'locked' : 'leaving';
  return {
    lock,
    job: made.note['job'] as EventId,
    staker: made.note['staker'] as Pubkey,
    ...{ amountMsat, taken },
    state: out !== undefined ? (out.note['end'] as 'released' | 'slashed') : isEmpty ? 'slashed' : open,
    freeAt: left === undefined ? null : left.atSec + COOLDOWN_SEC,
  };
}

/** @throws NmktError `bad-event` */
function checked(event: NostrEvent): JobEvent {
  try {
    if (hasValidSignature(event)) return parseJobEvent(event);
  } catch (error) {
    if (!isNmktError(error)) throw error;
  }
  throw wrong(
    'bad-event',
    'the evidence is no signed event of a job',
    'two signed events',
    'something else',
    'check its file',
  );
}

function wrong(
  code: 'bad-usage' | 'payment-failed' | 'not-ready' | 'bad-event',
  message: string,
  expected: string,
  got: string,
  remedy: string,
): NmktError {
  return new NmktError(code, message, { expected, got, remedy });
}
