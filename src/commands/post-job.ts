import { NmktError } from '../errors.js';
import { formatEventId, parsePubkey } from '../config/identifiers.js';
import type { JobTerms } from '../protocol/job.js';
import { backUpJob } from '../roles/backup.js';
import { withNewKeyShare } from '../roles/new-key-share.js';
import { jobTerms } from '../roles/job-terms.js';
import { postJob } from '../roles/post.js';
import { postAllianceJob } from './alliance-post.js';
import { postArenaJob } from './arena-post.js';
import type { CommandModule } from './command.js';
import { checkerOf, customerPorts } from './customer-ports.js';
import { addJobFlags, jobFromFlags, readJobFile } from './job-flags.js';
import { addModeFlag, readMode } from './job-mode.js';
import { lead } from './lead.js';
import { addModeFields, FIELDS, requireOnlyFlagsOf } from './mode-flags.js';
import { layersModelOf } from './model-file.js';
import { costText, planCost } from './payment-plan.js';
import { defaultsOf, termsTable } from './pot.js';
import { ownDataset } from './own-dataset.js';
import { requireFitRelays } from './relay-fit.js';
import { confirmJob, maxSatsOf } from './spending.js';

export const command: CommandModule = {
  configure(program) {
    program.argument('[file]', 'job file (JSON); flags win over it');
    addModeFlag(
      program,
      'federated; arena: every trainer submits a whole model, validators rank them; alliance: members train on data of their own',
    );
    addJobFlags(program);
    addModeFields(program);
    program
      .option('--again', 'post a second job even if an equal one exists')
      .option(
        '--only-followed',
        'only trainers that your key follows (kind 3) can win; bids of others are refused by name',
      )
      .option('--block <npubs...>', 'trainers that cannot win; their bids are refused by name')
      .option('--serve', 'stay and lead the job until its model is published')
      .option('--max-sats <n>', 'refuse a job that could cost more')
      .option('--print-defaults', 'show every field with its default and a sentence')
      .option('--no-backup', 'keep no copy of the secrets, sealed to yourself, on the relays')
      .option('--dry-run', 'show the terms; sign and publish nothing')
      .addHelpText(
        'before',
        '$ nmkt post-job --dataset SNAPSHOT --model mlp --rounds 5 --max-price-sats 300\n$ nmkt post-job job.json --serve\n$ nmkt post-job --mode arena --dataset SNAPSHOT --pot-sats 5000\n$ nmkt post-job --mode alliance --like FILE --label COLUMN --pot-sats 3000\n',
      )
      .addHelpText('after', HELP);
  },

  async run([file], options, context) {
    const given = file === undefined ? {} : await readJobFile(file);
    const mode = readMode(options, given);
    if (options['printDefaults'] === true) return defaultsOf(FIELDS[mode]());
    maxSatsOf(options);
    if (mode === 'alliance') return postAllianceJob(given, options, context);
    if (mode === 'arena') return postArenaJob(given, options, context);
    requireOnlyFlagsOf(mode, options);
    const { mode: _mode, ...federated } = given;
    const blocked = (options['block'] as string[] | undefined)?.map(parsePubkey);
    const job = jobFromFlags(federated, options);
    if (job.dataset === undefined)
      throw new NmktError('bad-job', 'the job names no dataset', {
        expected: '--dataset ID',
        got: 'none',
        remedy: 'nmkt publish-dataset FILE, then nmkt post-job --dataset SNAPSHOT',
      });
    const ports = await customerPorts(context);
    const dataset = await ownDataset(ports, job.dataset);
    const engine = await checkerOf(context, job);
    const terms = jobTerms(
      job,
      dataset,
      context.deps.network,
      ports.relays.urls,
      ports.clock.nowSec(),
      engine,
      await layersModelOf(job, context),
    );
    if (options['dryRun'] === true) {
      const value = await withNewKeyShare(terms, ports);
      const plan = await planCost(context, options, mostPayments(terms));
      return { value: { ...value, plan }, text: `${termsTable(value)}\n\n${costText(plan)}` };
    }
    await requireFitRelays(context, 'jobs');
    await confirmJob(context, options, job, dataset.shards);
    const { secrets, isNew } = await postJob(terms, dataset, ports, options['again'] === true, {
      ...(options['onlyFollowed'] === true && { onlyFollowed: true }),
      ...(blocked && { blocked }),
    });
    if (options['backup'] !== false) await backUpJob(ports, secrets);
    const id = secrets.event.id;
    context.progress.note(
      `trainers find it as ${formatEventId(id, ports.relays.urls.slice(0, 3), ports.signer.pubkey)}`,
    );
    context.progress.done(
      isNew ? 'posted' : 'an equal job was posted before: this is that one (post another with --again)',
    );
    const value = { job: id, ...(engine !== null && { engine }) };
    if (options['serve'] === true) {
      const { state } = await lead(context, ports, secrets, options);
      context.progress.done(`finished: ${state.rounds.length} rounds`);
      return { value, text: id, next: `nmkt collect-model ${id} --out model` };
    }
    context.progress.note(`nobody serves this job yet: without collect-model or --serve it lapses in ${job.deadline}`);
    return { value, text: id, next: `nmkt collect-model ${id} --out model` };
  },
};

/** Every price at its most, every fee. */
function mostPayments({
  rail,
  rounds,
  trainers,
  maxPriceMsat,
  validators,
}: Pick<JobTerms, 'rail' | 'rounds' | 'trainers' | 'maxPriceMsat' | 'validators'>): readonly bigint[] {
  if (rail === 'none') return [];
  const fees = validators === undefined ? [] : Array<bigint>(validators.count).fill(validators.feeMsat);
  const round = [...Array<bigint>(trainers).fill(maxPriceMsat), ...fees];
  return Array.from({ length: rounds }, () => round).flat();
}

const HELP = `
An arena (--mode arena) gives its whole dataset to every trainer that asks; each submits models of its own choice, validators rank them on sets that no trainer
sees, and ranks split the pot: publish the dataset with --shards 1.
An alliance (--mode alliance) needs no dataset: members train on data of their own, and the pot is paid in equal parts per round. Of the flags
above it has those that --mode alliance --print-defaults shows.
Prices are sats per accepted round and shard; a job is refused when rounds x shards x max-price-sats passes its budget.
With --json one document: {job}, its id, and {engine}, which repeats drawn segments, where the job has spot checks. With --dry-run the terms
as they would be signed, amounts in msat, times in Unix seconds, and plan: {mostMsat, feeReserveMsat, checks: [{name, state, detail,
remedy}]}, what the job may cost and what wallet and caps say of it; with --print-defaults {field: {default, about}}.`;
