import type { AnyPayout } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { AllianceSecrets } from '../roles/alliance/env.js';
import type { JobSecrets } from '../roles/customer-env.js';
import type { PublishPorts } from '../roles/publish.js';
import { table } from '../terminal/table.js';
import { leadOwnAlliance } from './alliance-lead.js';
import { leadOwnArena } from './arena-lead.js';
import type { Context, Outcome } from './command.js';
import { requirePayouts, type Holds } from './unpaid.js';

/** `nmkt cancel` of a job with a pot: what is owed is brought to its end first, the rest of the pot stays with its customer. */

interface Cancelled {
  readonly event: EventOf<'cancel'>;
  /** Settled ones. */
  readonly rounds: number;
  readonly payouts: readonly AnyPayout[];
  readonly holds: Holds;
}
type Options = Readonly<Record<string, unknown>>;

/** The round that is open is settled before. */
export async function cancelAlliance(
  context: Context,
  ports: PublishPorts,
  secrets: AllianceSecrets,
  options: Options,
  reason: string,
): Promise<Outcome> {
  context.progress.start('cancelling the alliance');
  const { folded, holds } = await leadOwnAlliance(context, ports, secrets, options, { cancel: { reason } });
  const { cancelled, rounds } = folded.state!;
  const accepted = rounds.filter(({ tally }) => tally?.isAccepted === true).length;
  return report(context, {
    ...{ event: cancelled!, rounds: accepted, payouts: rounds.flatMap(({ payouts }) => payouts), holds },
  });
}

/** The stage whose submissions are listed is ranked and settled before. */
export async function cancelArena(
  context: Context,
  ports: PublishPorts,
  secrets: JobSecrets,
  options: Options,
  reason: string,
): Promise<Outcome> {
  context.progress.start('cancelling the arena');
  const { folded, holds } = await leadOwnArena(context, ports, secrets, options, { cancel: { reason } });
  const { cancelled, stages } = folded.state!;
  return report(context, {
    ...{ event: cancelled!, rounds: stages.length, payouts: stages.flatMap(({ payouts }) => payouts), holds },
  });
}

function report({ progress }: Context, { event, rounds, payouts, holds }: Cancelled): Outcome {
  const left = payouts.filter(({ receipt }) => receipt === null);
  const sum = (some: readonly AnyPayout[]) => some.reduce((all, { amountMsat }) => all + amountMsat, 0n);
  const owedMsat = sum(left);
  const job = event.job;
  const value = {
    ...{ job, cancelled: event.id, reason: event.content.reason, rounds },
    ...{ paidMsat: sum(payouts) - owedMsat, owedMsat, unpaid: left.length },
  };
  progress.done('cancelled');
  const text = table([
    ['cancelled', value.cancelled],
    ...(value.reason === '' ? [] : [['reason', value.reason]]),
    ['rounds', `${rounds} settled`],
    ['paid', `${Number(value.paidMsat) / 1000} sat`],
    ['owed', `${Number(owedMsat) / 1000} sat`],
  ]);
  const outcome = { value, text };
  requirePayouts(left, holds, outcome);
  return left.length > 0
    ? { ...outcome, exit: 7, next: `nmkt cancel ${job}, once they have claimed` }
    : { ...outcome, next: `nmkt status ${job}` };
}
