import type { Sha256 } from '../hash.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { Payout } from '../wallet/payout-records.js';
import { ownPayouts } from './own-payouts.js';
import type { CommandModule } from './command.js';
import { findJob } from './find-job.js';
import { short } from './money-events.js';
import { sats } from './status-tables.js';

/** Reads only: the journal of this home, without a wallet or a relay. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('[job]', 'id, note or nevent of a job (default: all jobs that this home pays)')
      .addHelpText('before', '$ nmkt payouts --home c\n$ nmkt payouts JOB --json\n')
      .addHelpText('after', HELP);
  },

  async run([reference], _options, { deps, progress }) {
    const job = reference === undefined ? undefined : findJob(reference);
    const all = [...(await ownPayouts({ deps })).values()];
    const payouts = all.filter((one) => job === undefined || one.job === job).map(described);
    if (payouts.length === 0) progress.note(`nothing was paid from ${deps.home().dir}`);
    const unknown = payouts.filter(({ state }) => state === 'unknown');
    const sum = (state: PayoutLine['state']) =>
      payouts.reduce((msat, one) => (one.state === state ? msat + one.amountMsat : msat), 0n);
    return {
      value: {
        payouts,
        ...{ paidMsat: sum('paid'), unknownMsat: sum('unknown') },
        feesMsat: payouts.reduce((msat, one) => msat + (one.feesMsat ?? 0n), 0n),
      },
      text: payouts.length === 0 ? 'no payouts' : table([HEAD, ...payouts.map(cellsOf)]),
      ...(unknown.length > 0 && { next: 'nmkt pay --resume' }),
    };
  },
};

const HELP = `
What the journal of this home says: a payout is bound to one invoice before anything is sent, and unknown while nobody can tell whether its
money moved. An unknown one is looked up first, never paid by another invoice, and holds up only its payee: nmkt pay --resume, or the command
that pays, goes on with it.
With --json one document {payouts: [{payout, job, round, payee, amountMsat, state, paymentHash, feesMsat, sentAt}], paidMsat, unknownMsat,
feesMsat}: state planned, bound (nothing sent, or the wallet refused), unknown or paid; sentAt in Unix seconds.`;

export interface PayoutLine {
  readonly payout: Sha256;
  readonly job: string;
  readonly round: number;
  readonly payee: string;
  readonly amountMsat: bigint;
  readonly state: 'planned' | 'bound' | 'unknown' | 'paid';
  readonly paymentHash: string | null;
  readonly feesMsat: bigint | null;
  readonly sentAt: number | null;
}

function described(one: Payout): PayoutLine {
  const { payoutId, job, round, payee, amountMsat, bound, sentSec, paid } = one;
  return {
    ...{ payout: payoutId, job, round, payee, amountMsat },
    state: stateOfPayout(one),
    paymentHash: bound?.paymentHash ?? null,
    feesMsat: paid?.feesMsat ?? null,
    sentAt: sentSec ?? null,
  };
}

export function stateOfPayout({ bound, openSends, paid }: Payout): PayoutLine['state'] {
  return paid ? 'paid' : openSends > 0 ? 'unknown' : bound ? 'bound' : 'planned';
}

const HEAD = ['payout', 'job', 'round', 'payee', 'amount', 'fees', 'state', 'sent'];

function cellsOf({ payout, job, round, payee, amountMsat, state, feesMsat, sentAt }: PayoutLine) {
  return [
    ...[short(payout), short(job), round + 1, short(payee), sats(amountMsat)],
    ...[feesMsat === null ? '-' : sats(feesMsat), state, sentAt === null ? '-' : utc(sentAt)],
  ];
}
