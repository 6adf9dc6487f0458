import { systemClock } from '../../src/config/clock.js';
import type { Clock, Wallet } from '../../src/ports.js';
import { payingBy } from '../support/paying-by.js';

/** Who pays in a hurry: no test waits a minute for a wallet that says nothing. */

export const TIMEOUT_MS = 400;

/** The journal looks a doubtful payment up for some twenty seconds. */
export const hastyClock: Clock = {
  nowSec: () => systemClock.nowSec(),
  nowMs: () => systemClock.nowMs(),
  wait: (ms, signal) => systemClock.wait(Math.min(ms, 20), signal),
};

/** Gives a payment up after TIMEOUT_MS. */
export const hurried = (wallet: Wallet): Wallet => payingBy(wallet, (text) => wallet.pay(text, TIMEOUT_MS));
