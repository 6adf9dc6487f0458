import type { Sha256 } from '../hash.js';
import type { Journal } from '../ports.js';
import { foldPayouts, withRecord, type PayoutRecord, type Payouts } from './payout-records.js';

/**
 * The payouts of a home for the one process that may write its journal: read once, then kept up with what is appended. Who only reads
 * folds the journal itself.
 */
export interface PayoutBook {
  payouts(): Promise<Payouts>;
  /** Durable before it counts, and before this resolves. */
  append(record: PayoutRecord): Promise<void>;
  /** One job after the other for each name. */
  inTurn<T>(name: string, job: () => Promise<T>): Promise<T>;
  /** Sends that this process still waits for. */
  readonly inFlight: Flights;
}

export interface Flights {
  ids(): ReadonlySet<Sha256>;
  takeOff(payout: Sha256): void;
  /** More is not learned of it for now, whatever that is. */
  land(payout: Sha256): void;
  /** When the next of the others lands; at once when none flies. */
  nextLanding(but: Sha256): Promise<void>;
}

export function payoutBook(journal: Journal<PayoutRecord>): PayoutBook {
  let known: Payouts | undefined;
  let reading: Promise<Payouts> | undefined;
  const turns = new Map<string, Promise<unknown>>();
  const read = async (): Promise<Payouts> => {
    try {
      return (known = foldPayouts(await journal.read()));
    } finally {
      reading = undefined;
    }
  };
  const payouts = async (): Promise<Payouts> => known ?? (reading ??= read());
  return {
    payouts,
    async append(record) {
      await payouts();
      await journal.append(record);
      known = withRecord(known!, record);
    },
    inTurn(name, job) {
      const result = (turns.get(name) ?? Promise.resolve()).then(job);
      const settled = result.catch(() => undefined);
      turns.set(name, settled);
      void settled.then(() => {
        if (turns.get(name) === settled) turns.delete(name);
      });
      return result;
    },
    inFlight: flights(),
  };
}

function flights(): Flights {
  const flying = new Map<Sha256, { readonly landed: Promise<void>; readonly land: () => void }>();
  return {
    ids: () => new Set(flying.keys()),
    takeOff(payout) {
      if (flying.has(payout)) return;
      let land = (): void => undefined;
      const landed = new Promise<void>((resolve) => (land = resolve));
      flying.set(payout, { landed, land });
    },
    land(payout) {
      flying.get(payout)?.land();
      flying.delete(payout);
    },
    async nextLanding(but) {
      const others = [...flying].flatMap(([payout, { landed }]) => (payout === but ? [] : [landed]));
      if (others.length > 0) await Promise.race(others);
    },
  };
}
