import type { Sha256 } from '../hash.js';
import type { Clock, Progress } from '../ports.js';
import type { AnyPayout } from '../market/state.js';
import type { Hold } from './customer-money.js';
import type { LeadFacts } from './lead-loop.js';
import { clockTime } from './patience.js';

/** How long a payout whose payment failed, or whose claim is not payable, is left alone. */
const HOLD_SEC = 5;
/** A look-up of an unknown payment can take a minute: it is asked ever more rarely. */
const MAX_HOLD_SEC = 300;

function holdSec({ cause }: Hold, tries: number): number {
  return cause === 'unknown' ? Math.min(MAX_HOLD_SEC, HOLD_SEC * 2 ** Math.min(tries - 1, 10)) : HOLD_SEC;
}

/** Payouts that a loop tried to pay and could not: told, and looked at again later. Times in Unix seconds. */
export interface HeldPayouts {
  now(): Pick<LeadFacts, 'heldPayouts' | 'paymentsInFlight'>;
  /** When the first of them is looked at again; Infinity: none is held. */
  nextAt(): number;
  /** When the own wallet was last found away, or could not tell what became of a payment; 0: never. */
  walletAwayAt(): number;
  /** @param hold  null: paid, and receipted */
  note(payout: AnyPayout, round: number, hold: Hold | null): void;
}

export function heldPayouts({ clock, progress }: { readonly clock: Clock; readonly progress: Progress }): HeldPayouts {
  const held = new Map<Sha256, { readonly until: number; readonly isInFlight: boolean }>();
  const tries = new Map<Sha256, number>();
  const said = new Map<Sha256, string>();
  let walletAwayAt = 0;
  return {
    now() {
      for (const [payout, { until }] of held) if (clock.nowSec() >= until) held.delete(payout);
      const inFlight = [...held].flatMap(([payout, { isInFlight }]) => (isInFlight ? [payout] : []));
      return { heldPayouts: new Set(held.keys()), paymentsInFlight: new Set(inFlight) };
    },
    nextAt: () => Math.min(...[...held.values()].map(({ until }) => until)),
    walletAwayAt: () => walletAwayAt,
    note({ payout, payee, amountMsat }, round, hold) {
      if (hold === null) return void tries.delete(payout);
      const tried = (tries.get(payout) ?? 0) + 1;
      tries.set(payout, tried);
      if (hold.cause === 'unreachable' || hold.cause === 'unknown') walletAwayAt = clock.nowSec();
      const until = clock.nowSec() + holdSec(hold, tried);
      held.set(payout, { until, isInFlight: hold.isInFlight === true });
      const why = hold.why;
      const line = `${payee.slice(0, 12)}… is not paid yet (round ${round + 1}, ${amountMsat / 1000n} sat): ${why}`;
      if (said.get(payout) !== why) progress.warn(`${line}; tried again at ${clockTime(until)}`);
      said.set(payout, why);
    },
  };
}
