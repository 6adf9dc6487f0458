import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCast } from '../demo/cast.js';
import type { LiveView } from '../demo/live-view.js';
import type { DemoPlan } from '../demo/plan.js';
import type { Processes } from '../demo/processes.js';
import { createStage, type Stage } from '../demo/stage.js';
import type { DemoResult, TrainerResult, ValidatorResult } from '../demo/summary.js';
import { fromHex, sha256Hex, type EventId, type Pubkey } from '../hash.js';
import { paidMsat, type JobState } from '../market/state.js';
import { scoredRounds } from '../roles/validator.js';
import type { Context } from './command.js';
import { classesOf, compareAlone, readSecrets } from './demo-compare.js';
import { customerText, roundRows, watchJob } from './demo-watch.js';

export interface DemoTools {
  readonly context: Context;
  readonly processes: Processes;
  readonly view: LiveView;
}

export interface MarketResult extends Omit<DemoResult, 'modelDir' | 'wallSeconds'> {
  /** Payouts are left that nobody claimed. */
  readonly isPartlyPaid: boolean;
}

/** The whole market from an empty folder to an audited model; the accounts come from what the participants wrote. */
export async function runMarket(plan: DemoPlan, { context, processes, view }: DemoTools): Promise<MarketResult> {
  const { deps, signal } = context;
  const stage = createStage(plan, view);
  const cast = createCast(plan, stage, { processes, clock: deps.clock, signal });
  const { relay, isFresh } = await cast.openSandbox();
  // In a folder used before, an older job would satisfy a trainer that may choose.
  if (isFresh) cast.startWorkers();
  const { document: published } = await cast.publish();
  const job = String(published?.['job']) as EventId;
  stage.say(`customer: ${String(published?.['examples'])} examples in ${plan.trainers} shards, job ${job}`);
  if (!isFresh) cast.startWorkers(job);

  const relays = await deps.connectRelays([relay]);
  const secrets = await readSecrets(cast.customerHome, job);
  const chance = 1 / classesOf(secrets);
  stage.show({ chance });
  const watch = await watchJob(context, job, relays, (state) => {
    stage.show({ customer: customerText(state) });
    stage.showRounds(roundRows(state));
  });
  try {
    const { document, status } = await cast.collect(job);
    stage.show({ customer: 'has the model; an audit recomputes the job, one trainer trains alone' });
    const [comparison, verdict] = await Promise.all([
      compareAlone(context, secrets, relays),
      cast.audit(job, relay),
      cast.workersEnd(),
    ]);
    const state = await watch.latest();
    const collected = document as unknown as CollectedDocument;
    return {
      model: plan.model,
      accuracy: collected.metrics.accuracy,
      accuracyByRound: roundRows(state).flatMap(({ accuracy }) => accuracy ?? []),
      chance,
      ...comparison,
      totalRounds: plan.rounds,
      rounds: collected.rounds,
      trainers: trainerResults(stage, collected, state),
      validators: validatorResults(stage, state),
      paidMsat: BigInt(collected.paidMsat),
      receivedMsat: [...stage.board().trainers, ...stage.board().validators].reduce(
        (sum, { receivedMsat }) => sum + receivedMsat,
        0n,
      ),
      ...(await readPayments(plan.modelDir)),
      spot: countSpotChecks(state),
      ...verdict,
      isPartlyPaid: status === 7,
    };
  } finally {
    watch.close();
    await relays.close();
  }
}

/** What `collect-model --json` prints. */
interface CollectedDocument {
  readonly metrics: { readonly accuracy: number };
  readonly rounds: number;
  readonly trainers: readonly { readonly pubkey: string; readonly rounds: number; readonly paidMsat: number }[];
  readonly paidMsat: number;
}

function trainerResults(stage: Stage, { trainers }: CollectedDocument, state: JobState): TrainerResult[] {
  const accounts = new Map(trainers.map((account) => [account.pubkey, account]));
  const rows = stage.board().trainers.filter(({ pubkey }) => pubkey !== '');
  return rows.map(({ name, pubkey }) => ({
    name,
    pubkey,
    rounds: accounts.get(pubkey)?.rounds ?? 0,
    paidMsat: BigInt(accounts.get(pubkey)?.paidMsat ?? 0),
    rejections: state.rounds.flatMap(({ round, close }) =>
      (close?.content.rejected ?? [])
        .filter(({ trainer }) => trainer === pubkey)
        .map(({ rule, detail }) => ({ round, rule, detail })),
    ),
  }));
}

function validatorResults(stage: Stage, state: JobState): ValidatorResult[] {
  const rows = stage.board().validators.filter(({ pubkey }) => pubkey !== '');
  return rows.map(({ name, pubkey }) => ({
    ...{ name, pubkey, rounds: scoredRounds(state, pubkey as Pubkey) },
    paidMsat: paidMsat(state, pubkey as Pubkey),
  }));
}

function countSpotChecks({ rounds, frauds }: JobState): DemoResult['spot'] {
  const rows = rounds.flatMap(({ scores, verdict }) => scores?.content.scores ?? verdict?.rows ?? []);
  return { updates: rows.length, repeated: rows.filter(({ spot }) => spot !== null).length, forged: frauds.size };
}

/** Recomputes for every receipt whether SHA-256 of its preimage is the invoice's payment hash. */
async function readPayments(modelDir: string): Promise<{ invoices: number; falseReceipts: number }> {
  const { rounds } = JSON.parse(await readFile(join(modelDir, 'provenance.json'), 'utf8')) as {
    rounds: { payments: { preimage: string | null; paymentHash: string | null }[] }[];
  };
  const paid = rounds.flatMap(({ payments }) => payments).filter(({ preimage }) => preimage !== null);
  const invoices = paid.filter(({ preimage, paymentHash }) => sha256Hex(fromHex(preimage!)) === paymentHash).length;
  return { invoices, falseReceipts: paid.length - invoices };
}
