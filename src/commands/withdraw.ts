import { requireStored } from '../roles/require-stored.js';
import { takeBack } from '../roles/stake.js';
import { table } from '../terminal/table.js';
import type { CommandModule } from './command.js';
import { findJob } from './find-job.js';
import { withStake } from './stake-run.js';
import { sats } from './status-tables.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .option('--event <id>', 'that stake or delegation only (default: all of this key)')
      .addHelpText('before', '$ nmkt withdraw JOB --settings sb/trainer-1.json --home t1\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = findJob(reference!);
    const only = options['event'] === undefined ? undefined : findJob(options['event'] as string);
    return withStake(context, job, async (book, stake, { signer, relays }) => {
      const locks = await takeBack(book, stake, signer.pubkey, only);
      const last = book.state().chains.get(signer.pubkey)?.events.at(-1);
      if (last?.type === 'withdraw') await requireStored(relays, book.raw(last.id)!);
      return {
        value: {
          job,
          locks: locks.map(({ lock, amountMsat, state, freeAt }) => ({ lock, amountMsat, state, freeAt })),
        },
        text: table(
          locks.map(({ lock, amountMsat, state, freeAt }) => [
            `${lock.slice(0, 12)}…`,
            sats(amountMsat),
            state === 'leaving' ? `free from ${new Date(freeAt! * 1000).toISOString()} on` : state,
          ]),
        ),
        ...(locks.some(({ state }) => state === 'leaving') && { next: `nmkt withdraw ${job}` }),
      };
    });
  },
};

const HELP = `
Says in public that own stakes and delegations count no more. A day later the money is free, and the same command takes it back: until then
it answers for what it stood behind.
With --json one document: {job, locks: [{lock, amountMsat, state, freeAt}]}, state locked, leaving, released or slashed, freeAt in Unix
seconds or null.`;
