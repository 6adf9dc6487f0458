import { NmktError } from '../errors.js';
import type { NostrEvent } from '../ports.js';
import type { JobBook } from '../roles/job-book.js';
import { describeSales, type SaleDescription } from '../roles/describe-sales.js';
import { table } from '../terminal/table.js';
import type { CommandModule } from './command.js';
import { findJob, readBook } from './find-job.js';
import { short, withParts } from './money-events.js';
import { saveProofs } from './proof-file.js';
import { sats } from './status-tables.js';

/** Reads only. With the key of the customer or of the trainer it looks into what was sealed between the two. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of a job on rail key-sale')
      .option('--save <file>', 'write the signed events that prove its wrong keys, for nmkt sale verify')
      .option('--force', 'overwrite that file')
      .addHelpText('before', '$ nmkt sales JOB --home c\n$ nmkt sales JOB --save frauds.ndjson\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const signer = await context.deps.signer({ create: false });
    const { book } = await readBook(context, findJob(reference!));
    try {
      const state = book.state();
      const { rail } = state.job!.content;
      if (rail !== 'key-sale')
        throw new NmktError('bad-usage', 'this job sells no keys', {
          expected: 'a job on rail key-sale',
          got: `rail ${rail}`,
          remedy: `nmkt receipts ${state.jobId}`,
        });
      const sales = await describeSales(state, signer);
      const isFraud = sales.some(({ keyFraud }) => keyFraud !== null);
      if (options['save'] !== undefined && !isFraud) context.progress.note('no wrong key was sold: nothing is written');
      const file = isFraud ? (options['save'] as string | undefined) : undefined;
      if (file !== undefined) await saveProofs(file, frauds(sales, book), options['force'] === true);
      return {
        value: { job: state.jobId, sales, file: file ?? null },
        text: sales.length === 0 ? 'no update is offered yet' : sales.map(textOf).join('\n\n'),
        ...(file !== undefined && { next: `nmkt sale verify ${file}` }),
      };
    } finally {
      book.close();
    }
  },
};

const HELP = `
Every update that was accepted, and what can be checked of its sale: by anybody what is in public, by customer and trainer also what was sealed
between them. A wrong key is proven by four hashes; --save writes the two signed events that anybody checks with nmkt sale verify.
With --json one document {job, sales: [{round, trainer, shard, submission, state, amountMsat, paymentHash, receipt, keyFraud, checks: [{what, ok, detail}]}],
file}: state offered, claimed, sold, unsold (the sale ended without it) or fraud (a wrong key was sold); receipt and keyFraud are ids of events,
or null; detail has what was expected and got.`;

function textOf({ round, trainer, state, amountMsat, checks }: SaleDescription): string {
  const head = `round ${round + 1}, ${short(trainer)}: ${state}, ${sats(amountMsat)}`;
  return `${head}\n${table(checks.map(({ what, ok, detail }) => [ok ? 'yes' : 'no', what, ok ? '' : detail]))}`;
}

/** Of each, the reveal and what shows its key to be another one. */
function frauds(sales: readonly SaleDescription[], book: JobBook): readonly NostrEvent[] {
  const byId = new Map<string, NostrEvent>(book.all().map((event) => [event.id, event]));
  return sales.flatMap(({ submission, keyFraud }) =>
    keyFraud === null ? [] : [submission, keyFraud].flatMap((id) => withParts(byId.get(id)!, byId)),
  );
}
