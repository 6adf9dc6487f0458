import { NmktError } from '../errors.js';
import { STAKED_ROLES } from '../protocol/stake.js';
import { putStake } from '../roles/stake.js';
import { requireStored } from '../roles/require-stored.js';
import type { CommandModule } from './command.js';
import { optionalInteger, optionalNumber } from './customer-ports.js';
import { findJob } from './find-job.js';
import { withStake } from './stake-run.js';
import { SAT } from './trainer-bounds.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .requiredOption('--sats <n>', 'how much to lock for it')
      .option('--role <role>', 'what it answers for: trainer or validator', 'trainer')
      .option('--sigma <part>', 'of a reward that others stand behind, the part kept before they share: 0 to 1', '0.4')
      .option('--more', 'beside the stake that stands already')
      .addHelpText('before', '$ nmkt stake JOB --sats 3000 --settings sb/trainer-1.json --home t1\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = findJob(reference!);
    const amountMsat = BigInt(optionalInteger(options['sats'], '--sats', 1, 21e14)!) * SAT;
    const sigmaPpm = Math.round(optionalNumber(options['sigma'], '--sigma', 0, 1)! * 1e6);
    const role = STAKED_ROLES.find((known) => known === options['role']);
    if (role === undefined)
      throw new NmktError('bad-usage', '--role names no role', {
        expected: STAKED_ROLES.join(' or '),
        got: String(options['role']),
        remedy: '--role trainer',
      });
    return withStake(context, job, async (book, stake, { signer, relays, progress }) => {
      const me = signer.pubkey;
      const isMore = options['more'] === true;
      const { event, isNew } = await putStake(book, stake, me, { amountMsat, operator: me, role, sigmaPpm, isMore });
      await requireStored(relays, book.raw(event.id)!);
      progress.done(isNew ? 'locked and published' : 'this key staked before; --more adds to it');
      const { lock, amountMsat: locked } = event.content;
      return {
        value: { job, stake: event.id, lock, amountMsat: locked, isNew },
        text: `${isNew ? 'staked' : 'staked before'} ${locked / SAT} sat for job ${job.slice(0, 12)}…, event ${event.id}`,
        next: `nmkt withdraw ${job}`,
      };
    });
  },
};

const HELP = `
Locks money of the wallet for this job and says so in public. It counts from the customer's next stake table on, and can be lost for
signatures that cannot both be honest, or for what validators proved (nmkt slash); absence costs no stake. So far wallets of nmkt sandbox lock stake. Run again after an
interruption: nothing is locked twice.
With --json one document: {job, stake, lock, amountMsat, isNew}, stake being the id of the event.`;
