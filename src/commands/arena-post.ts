import { parsePubkey, formatEventId } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import { arenaTermsOf, postArena } from '../roles/arena/post.js';
import { leadOwnArena } from './arena-lead.js';
import type { Context, Outcome } from './command.js';
import { customerPorts } from './customer-ports.js';
import { arenaFromFlags } from './mode-flags.js';
import { ownDataset } from './own-dataset.js';
import { costText, planCost } from './payment-plan.js';
import { confirmPot, termsTable } from './pot.js';
import { requireFitRelays } from './relay-fit.js';

/** `nmkt post-job --mode arena`: the customer brings a dataset and a pot. */
export async function postArenaJob(
  file: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
  context: Context,
): Promise<Outcome> {
  const job = arenaFromFlags(file, options);
  const blocked = (options['block'] as string[] | undefined)?.map(parsePubkey);
  if (job.dataset === undefined)
    throw new NmktError('bad-job', 'the arena names no dataset', {
      expected: '--dataset ID',
      got: 'none',
      remedy: 'nmkt publish-dataset FILE --shards 1, then nmkt post-job --mode arena --dataset SNAPSHOT',
    });
  const ports = await customerPorts(context);
  const { relays, clock, signer } = ports;
  const dataset = await ownDataset(ports, job.dataset);
  const terms = arenaTermsOf(job, dataset, context.deps.network, relays.urls, clock.nowSec());
  if (options['dryRun'] === true) {
    const { arena, ...rest } = terms;
    const plan = await planCost(context, options, job.rail === 'none' ? [] : [arena.potMsat]);
    return { value: { ...terms, plan }, text: `${termsTable({ ...rest, ...arena })}\n\n${costText(plan)}` };
  }
  await requireFitRelays(context, 'jobs');
  await confirmPot(context, options, job);
  const { secrets, isNew } = await postArena(terms, dataset, ports, options['again'] === true, {
    ...(options['onlyFollowed'] === true && { onlyFollowed: true }),
    ...(blocked && { blocked }),
  });
  const { id } = secrets.event;
  context.progress.note(`trainers find it as ${formatEventId(id, relays.urls.slice(0, 3), signer.pubkey)}`);
  context.progress.done(
    isNew ? 'posted' : 'an equal job was posted before: this is that one (post another with --again)',
  );
  const outcome = { value: { job: id }, text: id, next: `nmkt collect-model ${id} --out model` };
  if (options['serve'] !== true) {
    context.progress.note('nobody leads this arena yet: nmkt collect-model, or --serve, does');
    return outcome;
  }
  await leadOwnArena(context, ports, secrets, options);
  context.progress.done('finished: both stages are settled');
  return outcome;
}
