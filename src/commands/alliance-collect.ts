import { join } from 'node:path';
import { replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import { fromHex, type Bytes, type EventId } from '../hash.js';
import { paramsHash } from '../learning/params.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import { baseHashOf, type AllianceState } from '../market/alliance/state.js';
import type { AllianceSecrets } from '../roles/alliance/env.js';
import { keptGroup } from '../roles/alliance/member-files.js';
import { modelOf } from '../roles/alliance/models.js';
import type { PublishPorts } from '../roles/publish.js';
import { table } from '../terminal/table.js';
import { writeModelFiles } from '../training/model-files.js';
import { leadOwnAlliance } from './alliance-lead.js';
import { allianceSummary } from './alliance-text.js';
import type { Context, Outcome } from './command.js';
import { readAlliance, type FoundAlliance } from './find-alliance.js';
import { jobFiles } from './lead.js';
import { notYours } from './own-job.js';
import { sats } from './status-tables.js';
import { requirePayouts, type Holds } from './unpaid.js';

/** `nmkt collect-model` of an alliance: its customer leads it to its end; a member takes what it helped to train. */

interface Collecting {
  readonly context: Context;
  readonly ports: PublishPorts;
  readonly jobId: EventId;
  readonly dir: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Of an own alliance. @throws NmktError as the customer's loop, `payment-failed` and `payment-unknown` with the model written */
export async function collectOwnAlliance(of: Collecting, secrets: AllianceSecrets): Promise<Outcome> {
  const { context, ports, options, signal, jobId } = of;
  refuseMeasure(options);
  const { holds } = await leadOwnAlliance(context, ports, secrets, options, { signal });
  return write(of, await readAlliance(context, jobId), fromHex(secrets.group), holds);
}

/** From the home of a member. @throws NmktError `not-your-job` without the group's key, `not-ready` before the end */
export async function collectAsMember(of: Collecting): Promise<Outcome> {
  refuseMeasure(of.options);
  const found = await readAlliance(of.context, of.jobId);
  const group = await keptGroup({ files: jobFiles(of.ports.files, of.jobId) });
  if (group === undefined) throw notYours(found.state.job.author, 'open its model');
  const { phase } = found.folded;
  if (phase !== 'finished' && phase !== 'cancelled')
    throw new NmktError('not-ready', 'the alliance goes on', {
      expected: 'a finished or cancelled job',
      got: phase,
      remedy: `nmkt status ${of.jobId}`,
    });
  return write(of, found, group, new Map());
}

/** Nobody but voters has test data. @throws NmktError `bad-usage` */
function refuseMeasure({ minAccuracy }: Readonly<Record<string, unknown>>): void {
  if (minAccuracy === undefined) return;
  throw new NmktError('bad-usage', 'an alliance has no evaluation set: its voters measure, each on data of its own', {
    expected: 'no --min-accuracy',
    got: '--min-accuracy',
    remedy: 'leave it out; nmkt predict measures the model on a labelled file of yours',
  });
}

async function write(
  { ports, jobId, dir, signal, context }: Collecting,
  found: FoundAlliance,
  group: Bytes,
  holds: Holds,
): Promise<Outcome> {
  const { state, folded, book } = found;
  const { relays, clock, files } = ports;
  const hash = baseHashOf(state, state.rounds.length);
  const env = { relays, files: jobFiles(files, jobId), signal, nowSec: clock.nowSec(), group };
  const params = await modelOf(env, state, hash);
  const { model: spec, schema } = state.job.content;
  await writeModelFiles(dir, spec, params, { job: jobId, schema });
  const put = (name: string, text: string) => replaceFile(nodeDisk, join(dir, name), text, 0o666);
  await put('provenance.json', `${JSON.stringify({ job: jobId, events: book.all() }, undefined, 2)}\n`);
  const rounds = state.rounds.filter(({ tally }) => tally?.isAccepted === true).length;
  await put('README.md', card(state, rounds));
  const { members, paidMsat, owedMsat } = allianceSummary(found);
  const value = {
    ...{ job: jobId, mode: 'alliance' as const, model: paramsHash(params), dir, rounds, paidMsat },
    members: members.map(({ pubkey, proposed, voted, paidMsat: got }) => ({ pubkey, proposed, voted, paidMsat: got })),
    ...{ signedBy: state.job.author, verified: folded.firstBad === null },
  };
  context.progress.done(`${rounds} of ${state.rounds.length} aggregates were accepted, ${sats(paidMsat)} paid`);
  if (rounds === 0) context.progress.warn('no aggregate was accepted: this is the model before training');
  const isOurs = state.job.author === ports.signer.pubkey;
  const left = unpaidOf(folded);
  if (left.length > 0 && isOurs)
    context.progress.warn(`${left.length} payouts are not claimed or not paid yet: run this command again to pay them`);
  const outcome = {
    value,
    text: table([
      ['model', dir],
      ['accepted', `${rounds} of ${state.rounds.length} rounds`],
      ['paid', sats(paidMsat)],
      ...(owedMsat > 0n ? [['owed', sats(owedMsat)]] : []),
      ...value.members.map((who) => [
        'member',
        `${who.pubkey.slice(0, 16)}…  proposed ${who.proposed}, voted ${who.voted}  ${sats(who.paidMsat)}`,
      ]),
    ]),
  };
  requirePayouts(left, holds, outcome);
  const isShort = (left.length > 0 && isOurs) || rounds === 0;
  return { ...outcome, next: `nmkt predict ${dir} FILE, or nmkt status ${jobId}`, ...(isShort ? { exit: 7 } : {}) };
}

const unpaidOf = ({ state }: FoldedAlliance) =>
  state!.rounds.flatMap(({ payouts }) => payouts).filter(({ receipt }) => receipt === null);

function card({ jobId, job, rounds }: AllianceState, accepted: number): string {
  const { title, aggregation, model, rail } = job.content;
  const members = new Set(rounds.flatMap((round) => [...round.members.keys()])).size;
  return `# ${title === '' ? 'A model trained by an alliance' : title}

Trained by ${members} members on data of their own with nmkt. In each round some proposed and the others voted; proposals were combined by ${aggregation}, all weighing alike.

| | |
|---|---|
| model | ${model.model} |
| rounds | ${accepted} of ${rounds.length} aggregates accepted |
| money | ${rail} |
| job | \`${jobId}\` |
| signed by | \`${job.author}\` |

Nobody measured it on common data: every voter did on its own.
`;
}
