import { sparkPlot } from '../terminal/plot.js';
import { table } from '../terminal/table.js';
import { percentText, plural, satText, type Rejection } from './board.js';

/** Everything the demo found out; accuracies in [0, 1]. */
export interface DemoResult {
  readonly model: string;
  /** Of the final model on set B. */
  readonly accuracy: number;
  /** On set A after each round that was not void, in order. */
  readonly accuracyByRound: readonly number[];
  readonly chance: number;
  readonly initialAccuracy: number;
  readonly soloAccuracy: number;
  readonly totalRounds: number;
  readonly rounds: number;
  readonly trainers: readonly TrainerResult[];
  readonly validators: readonly ValidatorResult[];
  readonly paidMsat: bigint;
  /** What the own wallets of trainers and validators confirmed. */
  readonly receivedMsat: bigint;
  /** Paid invoices whose preimage hashes to the invoice's payment hash. */
  readonly invoices: number;
  /** Paid invoices whose preimage does not. */
  readonly falseReceipts: number;
  /** Updates that were measured, those of them that were repeated in part, and those that ended elsewhere then. */
  readonly spot: { readonly updates: number; readonly repeated: number; readonly forged: number };
  readonly audit: 'PASS' | 'FAIL';
  /** The first event that does not follow, when the audit fails. */
  readonly finding: string | null;
  /** As the user would type it. */
  readonly modelDir: string;
  readonly wallSeconds: number;
}

export interface TrainerResult {
  readonly name: string;
  readonly pubkey: string;
  /** Accepted rounds. */
  readonly rounds: number;
  readonly paidMsat: bigint;
  readonly rejections: readonly Rejection[];
}

export interface ValidatorResult {
  readonly name: string;
  readonly pubkey: string;
  /** In which its scores counted. */
  readonly rounds: number;
  readonly paidMsat: bigint;
}

/** For somebody who meets all of this for the first time; fits in 60 columns but for long paths. */
export function summaryText(result: DemoResult): string {
  const { trainers, paidMsat, rounds, wallSeconds } = result;
  const parts = [
    [
      `${plural(trainers.length, 'trainer')} sold ${plural(rounds, 'round')} of training to one customer,`,
      `for ${paidMsat === 0n ? 'nothing' : `${satText(paidMsat)} of play money`}, in ${wallSeconds.toFixed(0)} seconds.`,
    ].join('\n'),
    progress(result),
    accuracies(result),
    payments(result),
    rejections(result),
    validators(result),
    spotChecks(result),
    audit(result),
    `The model is in ${result.modelDir}`,
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** One point is no curve. */
function progress({ accuracyByRound }: DemoResult): string {
  if (accuracyByRound.length < 2) return '';
  const percents = accuracyByRound.map((share) => share * 100);
  const format = (value: number): string => `${value.toFixed(1)} %`;
  return `Accuracy after each round:\n${sparkPlot(percents, { width: 50, height: 6, format, axis: 'round' })}`;
}

function accuracies({ trainers, ...result }: DemoResult): string {
  return table([
    ['On examples that nobody trained on', 'accuracy'],
    ['guessing', percentText(result.chance)],
    ['the model before training', percentText(result.initialAccuracy)],
    ['one trainer alone, as many epochs', percentText(result.soloAccuracy)],
    [`${plural(trainers.length, 'trainer')}, ${plural(result.rounds, 'round')}`, percentText(result.accuracy)],
  ]);
}

function payments(result: DemoResult): string {
  const { trainers, validators: judges, paidMsat, receivedMsat, invoices, falseReceipts, totalRounds } = result;
  if (paidMsat === 0n && invoices === 0) return 'Nobody was paid: the job was free.';
  const rows = [...trainers, ...judges].map(({ name, pubkey, rounds, paidMsat: own }) => [
    `${name} (${pubkey.slice(0, 8)})`,
    `${rounds} of ${totalRounds}`,
    own / 1000n,
  ]);
  const proof =
    falseReceipts === 0
      ? `${invoices} Lightning invoices; every preimage matches its hash.`
      : `${invoices} Lightning invoices; ${falseReceipts} more with a WRONG preimage.`;
  const whose = judges.length === 0 ? "The trainers'" : 'Their';
  const confirmed =
    receivedMsat === paidMsat
      ? `${whose} own wallets confirm the same sum.`
      : `${whose} own wallets confirm ${satText(receivedMsat)} only.`;
  return [
    table([
      ['', judges.length === 0 ? 'rounds accepted' : 'rounds', 'sat'],
      ...rows,
      ['together', '', paidMsat / 1000n],
    ]),
    proof,
    confirmed,
  ].join('\n');
}

function rejections({ trainers }: DemoResult): string {
  const lines = trainers.flatMap(({ name, rejections: own }) =>
    own.map(({ round, rule, detail }) => `${name}, round ${round + 1}: ${rule} (${detail})`),
  );
  return lines.length === 0 ? '' : ['Rejected, and so not paid:', ...lines].join('\n');
}

function validators({ validators: judges, totalRounds }: DemoResult): string {
  if (judges.length === 0) return '';
  const sheets = judges.reduce((sum, { rounds }) => sum + rounds, 0);
  const scored = `${plural(judges.length, 'validator')} scored the updates (${sheets} of ${judges.length * totalRounds} sheets);`;
  return `${scored}\nthe lower median of what they say decided who was accepted.`;
}

function spotChecks({ spot: { updates, repeated, forged } }: DemoResult): string {
  if (repeated === 0) return '';
  const drawn = `Spot checks: ${repeated} of ${plural(updates, 'update')}, drawn by lot, trained`;
  return `${drawn}\nagain in part: ${forged === 0 ? 'equal to the last bit.' : `${forged} ended elsewhere, so FORGED.`}`;
}

function audit({ audit: verdict, finding }: DemoResult): string {
  return verdict === 'PASS'
    ? 'Audit: PASS. Award, updates, averages and payments follow\nfrom the signed events, recomputed from the first one.'
    : `Audit: FAIL. ${finding ?? 'An event does not follow from the others.'}`;
}
