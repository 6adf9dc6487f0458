import { formatEventId } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import { MAX_MEMBERS } from '../protocol/alliance/job.js';
import { allianceTermsOf, postAlliance } from '../roles/alliance/post.js';
import { parseDuration } from '../roles/duration.js';
import { leadOwnAlliance } from './alliance-lead.js';
import type { Context, Outcome } from './command.js';
import { customerPorts } from './customer-ports.js';
import { layersModelOf } from './model-file.js';
import { allianceFromFlags } from './mode-flags.js';
import { costText, planCost } from './payment-plan.js';
import { confirmPot, termsTable } from './pot.js';
import { requireFitRelays } from './relay-fit.js';

/** `nmkt post-job --mode alliance`: the customer brings no data but what they look like. */
export async function postAllianceJob(
  file: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
  context: Context,
): Promise<Outcome> {
  const job = allianceFromFlags(file, options);
  const ports = await customerPorts(context);
  const { relays, clock, signer } = ports;
  const { schema } = await likeDataset(options);
  const layers = await layersModelOf(job, context);
  const { network } = context.deps;
  const terms = allianceTermsOf(job, schema, network, relays.urls, clock.nowSec(), layers);
  if (options['dryRun'] === true) {
    const { alliance, ...rest } = terms;
    const plan = await planCost(context, options, job.rail === 'none' ? [] : [alliance.potMsat]);
    return { value: { ...terms, plan }, text: `${termsTable({ ...rest, ...alliance })}\n\n${costText(plan)}` };
  }
  await requireFitRelays(context, 'jobs');
  await confirmPot(context, options, job);
  const opening = {
    members: job.members ?? MAX_MEMBERS,
    joinWindowSec: parseDuration(job.joinWindow, '--join-window'),
  };
  const { secrets, isNew } = await postAlliance(terms, opening, ports, options['again'] === true);
  const { id } = secrets.event;
  context.progress.note(`members find it as ${formatEventId(id, relays.urls.slice(0, 3), signer.pubkey)}`);
  context.progress.done(
    isNew ? 'posted' : 'an equal job was posted before: this is that one (post another with --again)',
  );
  const outcome = { value: { job: id }, text: id, next: `nmkt collect-model ${id} --out model` };
  if (options['serve'] !== true) {
    context.progress.note(`nobody serves this job yet: without collect-model or --serve it lapses in ${job.deadline}`);
    return outcome;
  }
  const { folded } = await leadOwnAlliance(context, ports, secrets, options);
  context.progress.done(`finished: ${folded.state!.rounds.length} rounds`);
  return outcome;
}

/** @throws NmktError `bad-job` without --like, and of its file */
async function likeDataset(options: Readonly<Record<string, unknown>>) {
  const { like, label } = options;
  if (typeof like !== 'string')
    throw new NmktError('bad-job', 'nobody knows yet what the data of the members look like', {
      expected: '--like FILE: its columns and classes become those of the job, its rows stay here',
      got: 'none',
      remedy: 'nmkt post-job --mode alliance --like FILE',
    });
  const { readDataset } = await import('../training/dataset.js');
  return readDataset(like, typeof label === 'string' ? { label } : {});
}
