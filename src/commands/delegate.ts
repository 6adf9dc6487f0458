import { parsePubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import { putStake } from '../roles/stake.js';
import { requireStored } from '../roles/require-stored.js';
import type { CommandModule } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { findJob } from './find-job.js';
import { withStake } from './stake-run.js';
import { SAT } from './trainer-bounds.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .argument('<npub>', 'the trainer or validator to stand behind')
      .requiredOption('--sats <n>', 'how much to lock')
      .option('--more', 'beside what stands behind it already')
      .addHelpText('before', '$ nmkt delegate JOB NPUB --sats 1000 --settings sb/trainer-2.json --home t2\n')
      .addHelpText('after', HELP);
  },

  async run([reference, name], options, context) {
    const job = findJob(reference!);
    const operator = parsePubkey(name!);
    const amountMsat = BigInt(optionalInteger(options['sats'], '--sats', 1, 21e14)!) * SAT;
    return withStake(context, job, async (book, stake, { signer, relays, progress }) => {
      if (operator === signer.pubkey)
        throw new NmktError('bad-usage', 'nobody delegates to itself', {
          expected: 'the key of somebody else',
          got: 'the own one',
          remedy: `nmkt stake ${job} --sats ${amountMsat / SAT}`,
        });
      const isMore = options['more'] === true;
      const wish = { amountMsat, operator, role: 'trainer', sigmaPpm: 0, isMore } as const;
      const { event, isNew } = await putStake(book, stake, signer.pubkey, wish);
      await requireStored(relays, book.raw(event.id)!);
      progress.done(isNew ? 'locked and published' : 'this key delegated before; --more adds to it');
      const { lock, amountMsat: locked } = event.content;
      return {
        value: { job, delegate: event.id, operator, lock, amountMsat: locked, isNew },
        text: `${isNew ? 'delegated' : 'delegated before'} ${locked / SAT} sat to ${operator.slice(0, 12)}…, event ${event.id}`,
        next: `nmkt withdraw ${job}`,
      };
    });
  },
};

const HELP = `
Locks money of the wallet behind a trainer or validator that has a stake of its own in this job. It shares in that one's reward by amount and
time, and can be lost with it. Run again after an interruption: nothing is locked twice.
With --json one document: {job, delegate, operator, lock, amountMsat, isNew}, delegate being the id of the event.`;
