import { perplexity } from '../learning/metrics.js';
import type { Report, RoundRow, ValidatorsRow } from '../simulate/report.js';
import { table } from '../terminal/table.js';

interface Simulated extends Report {
  readonly training: string;
  readonly accuracy: number | null;
  readonly loss: number;
  /** Per token; null unless the data are text. */
  readonly perplexity: number | null;
  readonly chance: number | null;
  readonly weights: string;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const kilobytes = (bytes: number): string => (bytes / 1e3).toFixed(0);

function inRound({ accuracy, loss }: RoundRow, measure: string): string | number {
  if (loss === null) return 'void';
  if (measure === 'perplexity') return perplexity(loss).toFixed(2);
  return accuracy === null ? loss : percent(accuracy);
}

function validatorsText({ validators, seated, scored, fallbacks, barred, paidSats }: ValidatorsRow): string {
  const own = fallbacks === 0 ? '' : `, ${fallbacks} rounds by the customer's own scores`;
  return `${validators} validators, ${seated} with a seat: ${scored} sheets of scores${own}, ${barred} barred, ${paidSats} sats`;
}

/** Rounds, classes and sums for people. */
export function simulationText(result: Simulated): string {
  const { accuracy, loss, chance, rounds, classes, total, weights } = result;
  const measure = result.perplexity !== null ? 'perplexity' : accuracy === null ? 'loss' : 'accuracy';
  const quality = [
    ...(result.perplexity === null ? [] : [`perplexity ${result.perplexity.toFixed(2)}`]),
    ...(accuracy === null
      ? []
      : [`accuracy ${percent(accuracy)}${chance === null ? '' : ` (guessing: ${percent(chance)})`}`]),
    `loss ${loss}`,
  ].join(', ');
  return [
    table([
      ['round', measure, 'accepted', 'rejected', 'update kB', 'relay kB', 'events', 'sats'],
      ...rounds.map((row) => [
        row.round,
        inRound(row, measure),
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
    ...(result.validators === undefined ? [] : [validatorsText(result.validators)]),
    '',
    `final model on set B: ${quality}`,
    `weights ${weights}`,
    `${total.events} events, ${kilobytes(total.relayBytes)} kB on the relay, ${kilobytes(total.downloadBytes)} kB read from it, ${total.paidSats} sats, ${total.virtualSeconds} virtual seconds`,
    ...(result.training === 'stub'
      ? ['stub training: its accuracy says nothing about the model that the job names']
      : []),
  ].join('\n');
}
