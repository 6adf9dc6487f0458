import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { guiltOf, slashShares } from '../market/slashing.js';
import { parseJobEvent, type JobEvent } from '../protocol/events.js';
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
 */
export function sandboxStake(ledger: Ledger, account: string, clock: Clock): Stake {
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
      const { state, freeAt, amountMsat } = find(lock)!;
      if (state !== 'leaving') return find(lock)!;
      if (clock.nowSec() < freeAt!) {
        if (before.state === 'locked') return find(lock)!;
        const when = new Date(freeAt! * 1000).toISOString();
        throw wrong('not-ready', 'the stake is still cooling down', when, 'an earlier time', 'run it again then');
      }
      await move(`out:${lock}`, nameOf(lock), [{ account, msat: amountMsat }], { end: 'released' });
      return find(lock)!;
    },
    async slash(lock, evidence) {
      const { job, staker, state, amountMsat } = need(lock);
      const guilt = guiltOf(evidence.map(checked));
      if (guilt?.job !== job || guilt.staker !== staker)
        throw wrong(
          ...(['bad-event', 'that evidence condemns nobody who staked here'] as const),
          `two commitments or reveals of ${staker.slice(0, 12)}… for one seat of its job`,
          guilt === null ? 'none such' : `those of ${guilt.staker.slice(0, 12)}…`,
          'absence and disagreement cost reward, never stake',
        );
      if (state === 'locked' || state === 'leaving') {
        const { reporterMsat, potMsat } = slashShares(amountMsat);
        const shares = [
          { account, msat: reporterMsat },
          { account: `pot:${job}`, msat: potMsat },
        ];
        await move(`out:${lock}`, nameOf(lock), shares, { end: 'slashed' });
      }
      return find(lock)!;
    },
  };
}

const nameOf = (lock: Sha256): string => `lock:${lock}`;

/** Out of a lock goes one transfer: a lock that was released is not slashed any more, nor the other way round. */
function stateOf(ledger: Ledger, lock: Sha256): StakeLock | null {
  const made = ledger.findTransfer(`lock:${lock}`);
  if (made === undefined) return null;
  const [left, out] = [ledger.findTransfer(`leave:${lock}`), ledger.findTransfer(`out:${lock}`)];
  return {
    lock,
    job: made.note['job'] as EventId,
    staker: made.note['staker'] as Pubkey,
    amountMsat: made.to[0]!.msat,
    state: out !== undefined ? (out.note['end'] as 'released' | 'slashed') : left === undefined ? 'locked' : 'leaving',
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
