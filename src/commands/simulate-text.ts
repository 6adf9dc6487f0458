import type { Report } from '../simulate/report.js';
import { table } from '../terminal/table.js';

interface Simulated extends Report {
  readonly training: string;
  readonly accuracy: number | null;
  readonly loss: number;
  readonly chance: number | null;
  readonly weights: string;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const kilobytes = (bytes: number): string => (bytes / 1e3).toFixed(0);

/** Rounds, classes and sums for people. */
export function simulationText(result: Simulated): string {
  const { accuracy, loss, chance, rounds, classes, total, weights } = result;
  const isClassified = chance !== null;
  const quality = accuracy === null ? `loss ${loss}` : `accuracy ${percent(accuracy)}, loss ${loss}`;
  return [
    table([
      ['round', isClassified ? 'accuracy' : 'loss', 'accepted', 'rejected', 'update kB', 'relay kB', 'events', 'sats'],
      ...rounds.map((row) => [
        row.round,
        row.accuracy === null ? (row.loss ?? 'void') : percent(row.accuracy),
        ...[row.accepted, row.rejected, kilobytes(row.uploadBytes), kilobytes(row.relayBytes), row.events],
        row.paidSats,
      ]),
    ]),
    '',
    table([
      ['class', 'trainers', 'accepted', 'barred', 'sats', 'sats each', 'rejected by'],
      ...classes.map((row) => [
        ...[row.class, row.trainers, row.accepted, row.barred, row.paidSats],
        row.trainers === 0 ? 0 : Math.round(row.paidSats / row.trainers),
        Object.entries(row.rejected)
          .map(([rule, count]) => `${rule} ${count}`)
          .join(', '),
      ]),
    ]),
    '',
    `final model on set B: ${quality}${chance === null ? '' : ` (guessing: ${percent(chance)})`}`,
    `weights ${weights}`,
    `${total.events} events, ${kilobytes(total.relayBytes)} kB on the relay, ${kilobytes(total.downloadBytes)} kB read from it, ${total.paidSats} sats, ${total.virtualSeconds} virtual seconds`,
    ...(result.training === 'stub'
      ? ['stub training: its accuracy says nothing about the model that the job names']
      : []),
  ].join('\n');
}
