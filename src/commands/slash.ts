import { formatPubkey } from '../config/identifiers.js';
import { requireStored } from '../roles/require-stored.js';
import { slashFederated, slashInAlliance } from '../roles/slash.js';
import { slashShares } from '../market/slashing.js';
import { table } from '../terminal/table.js';
import type { CommandModule } from './command.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import type { JobBook } from '../roles/job-book.js';
import { findJob, otherMode } from './find-job.js';
import { withStake } from './stake-run.js';
import { sats } from './status-tables.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .addHelpText('before', '$ nmkt slash JOB --settings sb/trainer-2.json --home t2\n')
      .addHelpText('after', HELP);
  },

  async run([reference], _options, context) {
    const job = findJob(reference!);
    return withStake(context, job, async (book, stake, { signer, relays, progress, mode }) => {
      if (mode === 'arena') throw otherMode(job, mode);
      // What kind of book it is follows from the mode.
      const found = await (mode === 'alliance'
        ? slashInAlliance(book as JobBook<FoldedAlliance>, stake, signer.pubkey)
        : slashFederated(book as JobBook, stake, signer.pubkey));
      for (const { event } of found) if (event !== null) await requireStored(relays, book.raw(event)!);
      const taken = found.filter(({ takenMsat }) => takenMsat > 0n);
      progress.done(
        found.length === 0 ? 'nothing that was signed here condemns a staker' : `${taken.length} locks are slashed`,
      );
      return {
        value: {
          job,
          slashed: found.map(({ guilty, lock, takenMsat, event, refused }) => ({
            ...{ guilty, lock: lock.lock, amountMsat: lock.amountMsat, takenMsat, state: lock.state, event, refused },
            ...slashShares(takenMsat),
          })),
        },
        text: table(
          found.map(({ guilty, lock, takenMsat, refused }) => [
            formatPubkey(guilty),
            sats(lock.amountMsat),
            refused ??
              `${sats(takenMsat)} slashed: ${sats(slashShares(takenMsat).potMsat)} of them to the pot of the job`,
          ]),
        ),
        ...(taken.length > 0 && { next: `nmkt status ${job}` }),
      };
    });
  },
};

const HELP = `
Looks for signatures in the job that cannot both be honest (two commitments or reveals for one seat, two commitments of a validator to its
scores), and for what validators contradicted to the bit (fraud, validator-fraud). Each stake that answers for such a key, its own and those behind it,
loses its money: a tenth to the wallet of who reports first, the rest to the pot of the job, which its last settlement pays to those that worked.
In an alliance whose job says --alliance-slash, voters that lost a round lose that share of each lock that stood behind their vote.
Without such signatures nothing is slashed; run again, nothing is slashed twice. Not for the customer, nor for whom they condemn.
With --json one document: {job, slashed: [{guilty, lock, amountMsat (of the lock), takenMsat, state, event, refused, reporterMsat, potMsat}]},
event being the own one or null, refused why the keeper of the lock said no, or null.`;
