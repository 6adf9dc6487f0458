import type { ModelName } from '../learning/types.js';
import type { Evaluation } from '../ports.js';
import { describeModelFiles } from '../roles/collect.js';
import { describeMetrics, type ModelMetrics } from '../roles/model-metrics.js';

/** What `nmkt train` answers, with --json and as the files beside the model. */
export interface TrainReport {
  readonly dir: string;
  readonly model: ModelName;
  readonly parameters: number;
  /** Of training and of the held-out set. */
  readonly examples: { readonly train: number; readonly test: number };
  readonly steps: number;
  /** After which step of an earlier run this one began; null: at the beginning. */
  readonly resumedAt: number | null;
  /** On the held-out set. */
  readonly metrics: ModelMetrics;
  readonly initialMetrics: { readonly loss: number; readonly accuracy: number | null };
  /** Mean over the last batch, before its update. */
  readonly finalLoss: number;
  readonly engine: string;
  /** Of training alone, over all runs. */
  readonly seconds: number;
  readonly samplesPerSec: number;
  /** SHA-256 of model.safetensors. */
  readonly weights: string;
}

export function metricsOf({ loss, accuracy }: Evaluation): { readonly loss: number; readonly accuracy: number | null } {
  return { loss, accuracy: accuracy ?? null };
}

/** A page for whoever finds the folder. */
export function trainedCard(report: TrainReport, training: string): string {
  const { metrics, initialMetrics, examples } = report;
  const measured = (one: ModelMetrics) =>
    [
      ...(one.accuracy === null ? [] : [`accuracy ${(100 * one.accuracy).toFixed(2)} %`]),
      `loss ${one.loss}`,
      ...describeMetrics(one),
    ].join(', ');
  return `# A model trained with nmkt

| | |
|---|---|
| model | ${report.model}, ${report.parameters} parameters |
| on ${examples.test} held-out examples | ${measured(metrics)} |
| before training | ${measured(initialMetrics)} |
| training | ${training}, ${report.steps} steps over ${examples.train} examples |
| engine | \`${report.engine}\` |
| weights | sha256 \`${report.weights}\` |

Files: ${describeModelFiles(report.model)}.

\`\`\`
nmkt predict <this folder> new-rows.csv
\`\`\`
`;
}
