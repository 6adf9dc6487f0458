import { percentText, satText } from '../demo/board.js';
import { writeMemberDigits, writeNewDigits } from '../demo/digits-files.js';
import type { DemoPlan } from '../demo/plan.js';
import type { Line } from '../demo/processes.js';
import type { EventId } from '../hash.js';
import { initialParams } from '../learning/params.js';
import { initialisationSeed, trainingSeed } from '../learning/seeds.js';
import type { Examples } from '../learning/types.js';
import type { EventOf } from '../protocol/events.js';
import { table } from '../terminal/table.js';
import { readModelFiles } from '../training/model-files.js';
import { allianceSummary } from './alliance-text.js';
import { readLocalData } from './alliance-serve.js';
import type { Context } from './command.js';
import { allRounds } from './demo-compare.js';
import type { DemoTools } from './demo-market.js';
import { standUp } from './demo-stand.js';
import { readAlliance } from './find-alliance.js';

/** `nmkt demo --mode alliance`: members with digits of their own, each a process; the customer brings the money and no data. */

export interface AllianceDemo {
  readonly mode: 'alliance';
  /** Of the last accepted model, on digits that nobody has; in [0, 1] like the others. */
  readonly accuracy: number;
  readonly initialAccuracy: number;
  /** One member alone, as many epochs. */
  readonly soloAccuracy: number;
  /** Accepted ones. */
  readonly rounds: number;
  readonly totalRounds: number;
  readonly members: readonly {
    readonly pubkey: string;
    readonly proposed: number;
    readonly voted: number;
    readonly paidMsat: bigint;
  }[];
  readonly paidMsat: bigint;
  readonly audit: 'PASS' | 'FAIL';
}

/** From an empty folder to the model. @throws NmktError of whoever failed */
export async function runAlliance(plan: DemoPlan, tools: DemoTools): Promise<AllianceDemo> {
  const { context, view } = tools;
  const { trainers: count, rounds, priceSats, engine, model } = plan;
  const stand = standUp(plan, tools, { trainers: count, validators: 0 });
  const data = await writeMemberDigits(stand.home('data'), count);
  const like = await writeNewDigits(stand.home('data'));
  const relay = await stand.during(stand.relay);
  view.say(`sandbox: relay and play-money wallets at ${relay}`);

  for (const [at, path] of data.parts.entries())
    stand.worker(`trainer-${at + 1}`, ['serve-trainer', '--mode', 'alliance', '--local-data', path], (line) => {
      const words = wordsOf(line);
      if (words !== null) view.say(`member ${at + 1} (${data.sizes[at]} digits): ${words}`);
    });
  const { document: posted } = await stand.customer([
    ...['post-job', '--mode', 'alliance', '--like', like, '--model', model, '--rounds', `${rounds}`],
    ...(priceSats === 0 ? ['--rail', 'none'] : ['--pot-sats', `${rounds * count * priceSats}`]),
    ...['--members', `${count}`, '--proposers', `${Math.floor(count / 2)}`, '--title', 'nmkt demo'],
    ...['--accepted-engines', engine === 'auto' ? 'wasm' : engine],
  ]);
  const job = String(posted?.['job']) as EventId;
  view.say(`customer: an alliance of ${count} members, job ${job}`);
  await stand.collect(job);
  const audit = await stand.audit(job);

  const relays = await context.deps.connectRelays([relay]);
  const found = await readAlliance({ deps: { ...context.deps, relays: async () => relays } }, job).finally(() =>
    relays.close(),
  );
  const { members: accounts, paidMsat } = allianceSummary(found);
  const measured = await compare(context, plan.modelDir, found.state.job, data.parts[0]!, data.test);
  return {
    ...{ mode: 'alliance', ...measured, totalRounds: rounds },
    rounds: found.state.rounds.filter(({ tally }) => tally?.isAccepted === true).length,
    members: accounts.map(({ pubkey, proposed, voted, paidMsat: got }) => ({ pubkey, proposed, voted, paidMsat: got })),
    paidMsat,
    audit,
  };
}

/** In a few words; null for what everybody has seen before. */
function wordsOf(line: Line): string | null {
  const round = `round ${Number(line['round']) + 1}`;
  switch (line['event']) {
    case 'registered':
      return 'joined';
    case 'revealed':
      return `${round}: proposed a model`;
    case 'voted': {
      const loss = (name: string) => (Number(line[name]) / 1e6).toFixed(3);
      const side = line['vote'] === 1 ? 'for' : 'against';
      return `${round}: voted ${side} the aggregate, loss ${loss('beforePpm')} before and ${loss('afterPpm')} with it`;
    }
    case 'paid':
      return `${round}: paid ${satText(BigInt(Number(line['amountMsat'])))}`;
    case 'lost':
    case 'skipped':
    case 'error':
      return `${line['event']}: ${String(line['reason'] ?? line['message'])}`;
    default:
      return null;
  }
}

async function compare(
  { deps, signal }: Context,
  dir: string,
  { author, content }: EventOf<'alliance-job'>,
  part: string,
  test: Examples,
): Promise<Pick<AllianceDemo, 'accuracy' | 'initialAccuracy' | 'soloAccuracy'>> {
  const { model, hyper, rounds, seed, schema } = content;
  const engine = await deps.engine({ accepted: content.acceptedEngines });
  const on = async (weights: Parameters<typeof engine.evaluate>[1]): Promise<number> =>
    (await engine.evaluate(model, weights, test)).accuracy!;
  const initial = initialParams(model, initialisationSeed(seed));
  const { train: examples } = await readLocalData(part, schema);
  const request = { model, weights: initial, examples, hyper: allRounds(hyper, rounds) };
  const alone = await engine.train({ ...request, seed: trainingSeed(seed, 0, 0, author) }, undefined, signal);
  const { weights } = await readModelFiles(dir);
  return { accuracy: await on(weights), initialAccuracy: await on(initial), soloAccuracy: await on(alone.weights) };
}

/** For somebody who meets all of this for the first time. */
export function allianceDemoText(found: AllianceDemo, modelDir: string, wallSeconds: number): string {
  const { members, rounds, totalRounds, paidMsat, audit } = found;
  return [
    `${members.length} members trained one model on digits of their own, which nobody else saw, and were\npaid ${satText(paidMsat)} of play money, in ${wallSeconds.toFixed(0)} seconds. Votes accepted ${rounds} of ${totalRounds} aggregates.`,
    table([
      ['On digits that nobody trained on', 'accuracy'],
      ['the model before training', percentText(found.initialAccuracy)],
      ['one member alone, as many epochs', percentText(found.soloAccuracy)],
      [`${members.length} members, ${totalRounds} rounds`, percentText(found.accuracy)],
    ]),
    table([
      ['member', 'proposed', 'voted', 'sat'],
      ...members.map((who) => [who.pubkey.slice(0, 8), who.proposed, who.voted, who.paidMsat / 1000n]),
    ]),
    audit === 'PASS'
      ? 'Audit: PASS. Roles, votes, the model and what it pays follow\nfrom the signed events, recomputed from the first one.'
      : 'Audit: FAIL.',
    `The model is in ${modelDir}`,
  ].join('\n\n');
}
