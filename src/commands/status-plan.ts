import type { EventId } from '../hash.js';
import type { JobState, PayoutState } from '../market/state.js';
import type { Relays } from '../ports.js';
import { comparePlan, sideOf, type PlanComparison } from '../roles/compare-plan.js';
import type { JobBook } from '../roles/job-book.js';
import type { Traffic } from '../roles/planned-traffic.js';
import { ownUpdates, type ActualTraffic } from '../roles/round-traffic.js';
import { table } from '../terminal/table.js';
import { knownPayouts } from './own-payouts.js';
import type { Context } from './command.js';
import { fetchSnapshot } from './find-job.js';

/** What `status` says of a job's plan: read from relays, and from the home of who has a part in it. */
export async function planBesideActuals(context: Context, book: JobBook, relays: Relays): Promise<PlanComparison> {
  const state = book.state();
  const { deps } = context;
  const report = await deps.keyReport();
  // A bunker would be asked for every update.
  const signer = report?.form === 'bunker' ? undefined : await deps.signer({ create: false, ask: false });
  const side = sideOf(state, signer?.pubkey ?? report?.pubkey ?? null);
  const isOurs = signer !== undefined && (side.role === 'trainer' || state.job?.author === signer.pubkey);
  const own = {
    sealed: isOurs ? await ownUpdates(state, side, signer) : new Map<never, never>(),
    feesMsat: await feesOf(context, state),
  };
  const snapshot = state.job === null ? null : await fetchSnapshot(relays, state.job);
  return comparePlan(state, side, snapshot?.manifest ?? null, (id) => sizeOf(book, id), own);
}

function sizeOf(book: JobBook, id: EventId): number {
  return Buffer.byteLength(JSON.stringify(book.raw(id)));
}

/** As the wallet said when this home paid. */
async function feesOf(context: Context, { jobId }: JobState): Promise<(payout: PayoutState) => bigint | null> {
  const payouts = await knownPayouts(context);
  return ({ payout }) => {
    const known = payouts.get(payout);
    return known?.job === jobId ? (known.paid?.feesMsat ?? null) : null;
  };
}

/** Rounds that people see; the JSON has all. */
const MAX_ROUNDS = 8;

/** What it came to, of what was planned: a line for each of the last rounds, then all that are over, then the whole job. */
export function planTable({ planFor, plan, planSoFar, actual, rounds }: PlanComparison): string {
  if (rounds.length === 0 || actual === null) return '';
  const from = Math.max(0, rounds.length - MAX_ROUNDS);
  const hasFees = actual.feesMsat !== null && planFor === 'customer';
  const row = (name: string | number, is: ActualTraffic | undefined | null, planned: Traffic | null) => [
    String(name),
    of(is?.bytesUp, planned?.bytesUp, size),
    of(is?.bytesDown, planned?.bytesDown, size),
    of(is?.events, planned?.events, String),
    of(is?.seconds, planned?.seconds, seconds),
    of(is?.msat, planned?.msat, sats),
    ...(hasFees && is != null ? [is.feesMsat === null ? UNKNOWN : sats(is.feesMsat)] : []),
  ];
  return table([
    [
      planFor === 'customer' ? 'round' : 'own part',
      ...['up, of planned', 'down', 'events', 'seconds', 'sat'],
      ...(hasFees ? ['fees'] : []),
    ],
    ...rounds
      .slice(from)
      .flatMap(({ actual: is, plan: planned }, at) => (is === null ? [] : [row(from + at + 1, is, planned)])),
    row('rounds over', actual, planSoFar),
    row('whole job', undefined, plan),
  ]);
}

const UNKNOWN = '?';

/** @param is  undefined: there is only a plan */
function of<T>(is: T | null | undefined, planned: T | null | undefined, show: (value: T) => string): string {
  const text = planned == null ? UNKNOWN : show(planned);
  if (is === undefined) return text;
  return `${is === null ? UNKNOWN : show(is)} of ${text}`;
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 10_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

const seconds = (value: number): string => String(value < 10 ? value : Math.round(value));
const sats = (msat: bigint): string => String(Number(msat) / 1_000);
