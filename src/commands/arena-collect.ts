import { join } from 'node:path';
import { replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import { sha256Hex, type EventId, type Sha256 } from '../hash.js';
import { paramsHash } from '../learning/params.js';
import type { FoldedArena } from '../market/arena/fold.js';
import type { RankRow } from '../protocol/arena/ranking.js';
import { parseSnapshot } from '../protocol/dataset.js';
import { modelFileName } from '../roles/arena/aliases.js';
import { auditArenaJob } from '../roles/arena/audit.js';
import { collectArenaKeys, encodeArenaAuditKeys } from '../roles/arena/audit-keys.js';
import { owedOf } from '../roles/arena/env.js';
import { decodeModelFile } from '../roles/arena/model-file.js';
import type { JobSecrets } from '../roles/customer-env.js';
import type { PublishPorts } from '../roles/publish.js';
import { table } from '../terminal/table.js';
import { writeModelFiles } from '../training/model-files.js';
import { leadOwnArena } from './arena-lead.js';
import type { Context, Outcome } from './command.js';
import { readArenaBook } from './find-arena.js';
import { decodeReceiptInvoice } from './find-job.js';
import { jobFiles } from './lead.js';
import { sats } from './status-tables.js';
import { requirePayouts } from './unpaid.js';

/** `nmkt collect-model` of an arena: its customer leads it to its end and gets the winner's model; the others stay sealed. */

interface Collecting {
  readonly context: Context;
  readonly ports: PublishPorts;
  readonly jobId: EventId;
  readonly dir: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** The best of the last stage that has a rank, with the hash of its file. */
function winnerOf({
  state,
}: FoldedArena): { readonly stage: number; readonly row: RankRow; readonly model: Sha256 } | null {
  for (const { stage, ranks, table: opened } of [...(state?.stages ?? [])].reverse()) {
    const row = ranks[0];
    const entry = opened?.content.entries.find(({ submission }) => submission === row?.submission);
    if (row !== undefined && entry?.model != null) return { stage, row, model: entry.model };
  }
  return null;
}

/** @throws NmktError as the customer's loop; `not-ready` where nothing has a rank; `accuracy-too-low`, `payment-failed` and `payment-unknown` with the model written */
export async function collectOwnArena(of: Collecting, secrets: JobSecrets): Promise<Outcome> {
  const { context, ports, options, signal, jobId, dir } = of;
  if (options['minAccuracy'] !== undefined)
    throw new NmktError('bad-usage', 'an arena ranks by loss', {
      expected: 'no --min-accuracy',
      got: '--min-accuracy',
      remedy: 'leave it out; nmkt predict measures the model on a labelled file of yours',
    });
  const { folded, holds } = await leadOwnArena(context, ports, secrets, options, { signal });
  const winner = winnerOf(folded);
  if (winner === null)
    throw new NmktError('not-ready', 'no submission of the arena has a rank: there is no model', {
      expected: 'one model that most of its validators could score',
      got: `${folded.state!.stages.reduce((sum, { submissions }) => sum + submissions.size, 0)} submissions, no rank`,
      remedy: `nmkt leaderboard ${jobId} says why; what nobody earned stays with you`,
    });
  const file = await jobFiles(ports.files, jobId).read(modelFileName(winner.model));
  if (file === undefined || sha256Hex(file) !== winner.model)
    throw new NmktError('hash-mismatch', 'the model of the winner does not lie in this home', {
      expected: winner.model,
      got: file === undefined ? 'no file' : sha256Hex(file),
      remedy: 'run it in the home that led the arena, or restore its backup',
    });
  const { spec, params } = decodeModelFile(file);
  const { schema } = parseSnapshot(secrets.train.event).manifest;
  await writeModelFiles(dir, spec, params, { job: jobId, schema });
  const book = await readArenaBook(context, jobId, ports.relays);
  book.close();
  const put = (name: string, text: string, mode = 0o666) => replaceFile(nodeDisk, join(dir, name), text, mode);
  const keys = await collectArenaKeys({ secrets, signer: ports.signer }, folded.state!);
  const { data: _, ...open } = keys;
  await put('audit-keys.json', encodeArenaAuditKeys(open), 0o600);
  if (options['auditData'] === true) await put('audit-data.json', encodeArenaAuditKeys(keys), 0o600);
  const { found } = await auditArenaJob({
    ...{ book, relays: ports.relays, upTo: 'public', signal, decode: decodeReceiptInvoice },
    nowSec: context.deps.clock.nowSec(),
  });
  if (found !== null)
    context.progress.warn(`the audit fails at event ${found.event.slice(0, 12)}…: ${found.rule}: ${found.detail}`);
  await put('provenance.json', `${JSON.stringify({ job: jobId, events: book.all() }, undefined, 2)}\n`);
  await put('README.md', card(folded, winner, spec.model));
  const payouts = owedOf(folded).rounds.flatMap(({ payouts: all }) => all);
  const left = payouts.filter(({ receipt }) => receipt === null);
  const paid = (who: string) =>
    payouts.reduce(
      (sum, { payee, receipt, amountMsat }) => (payee === who && receipt !== null ? sum + amountMsat : sum),
      0n,
    );
  const paidMsat = payouts.reduce((sum, { receipt, amountMsat }) => (receipt === null ? sum : sum + amountMsat), 0n);
  const ranks = folded.state!.stages[winner.stage]!.ranks;
  const value = {
    ...{ job: jobId, mode: 'arena' as const, model: paramsHash(params), architecture: spec.model, dir },
    ...{ winner: winner.row.trainer, stage: winner.stage, loss: winner.row.scorePpm / 1e6, paidMsat },
    trainers: ranks.map(({ trainer, scorePpm }, at) => ({
      ...{ pubkey: trainer, rank: at + 1, loss: scorePpm / 1e6, paidMsat: paid(trainer) },
    })),
    ...{ signedBy: secrets.event.pubkey, verified: found === null },
  };
  const stageName = winner.stage === 0 ? 'interim' : 'final';
  context.progress.done(
    `${winner.row.trainer.slice(0, 12)}… won the ${stageName} stage among ${ranks.length}: ${spec.model}, loss ${value.loss}; ${sats(paidMsat)} paid`,
  );
  if (left.length > 0)
    context.progress.warn(`${left.length} payouts are not claimed or not paid yet: run this command again to pay them`);
  const outcome = {
    value,
    text: table([
      ['model', dir],
      ['architecture', spec.model],
      ['loss', value.loss],
      ['paid', sats(paidMsat)],
      ...value.trainers.map(({ pubkey, rank, loss, paidMsat: got }) => [
        'trainer',
        `${rank}.  ${pubkey.slice(0, 16)}…  loss ${loss}  ${sats(got)}`,
      ]),
    ]),
  };
  requirePayouts(left, holds, outcome);
  const next = `nmkt leaderboard ${jobId}, or nmkt predict ${dir} FILE`;
  return { ...outcome, next, ...(left.length > 0 ? { exit: 7 } : {}) };
}

function card({ state }: FoldedArena, { row, stage }: NonNullable<ReturnType<typeof winnerOf>>, model: string): string {
  const { title, rail } = state!.job.content;
  const { ranks, validators } = state!.stages[stage]!;
  return `# ${title === '' ? 'The best model of an arena' : title}

The best of ${ranks.length} models that as many trainers submitted with nmkt, as ${validators.size} validators measured them on data that no trainer saw.

| | |
|---|---|
| model | ${model} |
| loss | ${row.scorePpm / 1e6} (lower median of its validators) |
| trainer | \`${row.trainer}\` |
| money | ${rail} |
| job | \`${state!.jobId}\` |
| signed by | \`${state!.job.author}\` |
`;
}
