import { NmktError } from '../errors.js';
import { paidMsat, type JobState } from '../market/state.js';
import { unpaidPayouts } from '../roles/customer-decide.js';
import { table } from '../terminal/table.js';
import { allianceSecrets } from './alliance-lead.js';
import { arenaSecrets } from './arena-lead.js';
import { cancelAlliance, cancelArena } from './cancel-pot.js';
import type { CommandModule, Outcome } from './command.js';
import { customerPorts } from './customer-ports.js';
import { maxSatsOf } from './spending.js';
import { findJob, readBook } from './find-job.js';
import { lead } from './lead.js';
import { notYours, ownSecrets } from './own-job.js';
import { PLAN_HELP, planPayments } from './payment-plan.js';
import { readReason } from './reason.js';
import { requirePayments } from './unpaid.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--reason <text>', 'why, in public (default: nothing)')
      .option('--max-sats <n>', 'pay at most this much, fees included')
      .option(
        '--dry-run',
        'show what is owed, to whom, and what wallet and caps say of it; cancel, pay and sign nothing',
      )
      .addHelpText('before', "$ nmkt cancel JOB\n$ nmkt cancel JOB --reason 'the labels were wrong' --json\n")
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const reason = readReason(options['reason']);
    maxSatsOf(options);
    const job = findJob(reference!);
    if (options['dryRun'] === true) return planPayments(context, job, options);
    const ports = await customerPorts(context);
    const alliance = await allianceSecrets(ports.files, job);
    if (alliance !== undefined) return cancelAlliance(context, ports, alliance, options, reason);
    const arena = await arenaSecrets(ports.files, job);
    if (arena !== undefined) return cancelArena(context, ports, arena, options, reason);
    const secrets = await ownSecrets(ports, job);
    if (secrets === undefined) {
      const { book } = await readBook(context, job);
      book.close();
      throw notYours(book.state().job!.author, 'cancel it');
    }
    let isNew = false;
    context.progress.start('cancelling the job');
    const { state, holds } = await lead(context, ports, secrets, options, {
      cancel: { reason },
      onStep: (step) => (isNew ||= step === 'cancel'),
    });
    context.progress.done(isNew ? 'cancelled' : 'this job was cancelled before');
    const unpaid = unpaidPayouts(state).length;
    if (unpaid > 0)
      context.progress.warn(
        `${unpaid} ${unpaid === 1 ? 'payout is' : 'payouts are'} not claimed or not paid yet: run this command again`,
      );
    const outcome = report(state);
    requirePayments(state, holds, outcome);
    return outcome;
  },
};

const HELP = `
Accepted rounds are paid, everything else is freed: a closed round is settled first, and a round whose commitments are listed is finished first,
since its updates are being shown. Work in an open round before that is not accepted any more. It cannot be undone; a second run pays what was
claimed since. Exit status 7: payouts are left that nobody claimed as agreed; 6: the wallet refused one, or its outcome is not known yet.
With --json one document:
  job, cancelled   ids of the job and of its cancellation; reason: as published
  rounds           rounds that were accepted
  paidMsat         paid over the whole job
  owedMsat, unpaid what is left to pay, and to how many payouts that belongs
An alliance ends when the round that is open is settled, an arena when the stage whose submissions are listed is; what is left of the pot stays with its customer.
With --dry-run instead what is owed before the cancellation; work of an open round that may still be accepted comes on top:
${PLAN_HELP}`;

function report(state: JobState): Outcome {
  const { cancelled, jobId: job } = state;
  if (cancelled === null) throw new NmktError('internal-error', 'the job is not cancelled', { remedy: 'report it' });
  const left = unpaidPayouts(state);
  const { reason } = cancelled.content;
  const value = {
    job,
    cancelled: cancelled.id,
    reason,
    rounds: state.rounds.filter((round) => round.close !== null).length,
    paidMsat: paidMsat(state),
    owedMsat: left.reduce((sum, payout) => sum + payout.amountMsat, 0n),
    unpaid: left.length,
  };
  const text = table([
    ['cancelled', cancelled.id],
    ...(reason === '' ? [] : [['reason', reason]]),
    ['rounds', `${value.rounds} accepted`],
    ['paid', `${Number(value.paidMsat) / 1000} sat`],
    ['owed', `${Number(value.owedMsat) / 1000} sat`],
  ]);
  if (left.length > 0) return { value, text, exit: 7, next: `nmkt cancel ${job}, once they have claimed` };
  return { value, text, next: `nmkt audit ${job}` };
}
