import { parsePubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { Bell } from '../roles/bell.js';
import { delegatedAlliance, delegatedArena, delegatedJob, serveDelegator, type Delegated } from '../roles/delegator.js';
import type { StakedJob } from '../roles/stake.js';
import type { Mode } from './job-mode.js';
import type { JobBook } from '../roles/job-book.js';
import type { PublishPorts } from '../roles/publish.js';
import { putStake } from '../roles/stake.js';
import { requireStored } from '../roles/require-stored.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import type { CommandModule, Context } from './command.js';
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
      .option('--wait', 'stay until the job is over, and claim the shares of rewards')
      .addHelpText('before', '$ nmkt delegate JOB NPUB --sats 1000 --settings sb/trainer-2.json --home t2\n')
      .addHelpText('after', HELP);
  },

  async run([reference, name], options, context) {
    const job = findJob(reference!);
    const operator = parsePubkey(name!);
    const amountMsat = BigInt(optionalInteger(options['sats'], '--sats', 1, 21e14)!) * SAT;
    return withStake(context, job, async (book, stake, ports) => {
      const { signer, relays, progress } = ports;
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
      const paid = options['wait'] === true ? await collect(context, book, ports) : {};
      return {
        value: { job, delegate: event.id, operator, lock, amountMsat: locked, isNew, ...paid },
        text: `${isNew ? 'delegated' : 'delegated before'} ${locked / SAT} sat to ${operator.slice(0, 12)}…, event ${event.id}`,
        next: `nmkt withdraw ${job}`,
      };
    });
  },
};

/** @throws NmktError `job-closed` where it stops before the job is over, `no-wallet` */
async function collect(
  context: Context,
  book: JobBook<StakedJob>,
  ports: PublishPorts & { readonly bell: Bell; readonly mode: Mode },
): Promise<{ readonly paidMsat: bigint }> {
  const { deps, signal } = context;
  const look = { federated: delegatedJob, arena: delegatedArena, alliance: delegatedAlliance }[ports.mode];
  const { paidMsat, why } = await serveDelegator<StakedJob>(
    {
      ...{ ...ports, book, signal, wallet: await deps.wallet(), network: deps.network },
      paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
      emit: () => undefined,
    },
    // The book was opened as one of that mode.
    look as (state: StakedJob) => Delegated,
  );
  if (why === null) return { paidMsat };
  throw new NmktError('job-closed', 'it waited for shares of rewards in vain', {
    expected: 'a job that comes to its end',
    got: why,
    remedy: `nmkt status ${book.jobId}`,
  });
}

const HELP = `
Locks money of the wallet behind a trainer or validator that has a stake of its own in this job. It shares in that one's reward by amount and
time, and can be lost with it. Run again after an interruption: nothing is locked twice.
Shares of a validator's fees come with --wait: it claims each, also of a delegation that was made before.
With --json one document: {job, delegate, operator, lock, amountMsat, isNew}, delegate being the id of the event; with --wait also paidMsat.`;
