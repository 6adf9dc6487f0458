import type { ModelName } from '../learning/types.js';

/** What the user asked the demo for. */
export interface DemoPlan {
  readonly trainers: number;
  readonly rounds: number;
  /** Who score the updates beside the customer; by default nobody. */
  readonly validators: number;
  readonly model: ModelName;
  /** Per accepted round and shard; 0 is a free job. */
  readonly priceSats: number;
  /** Null: procedural digits. */
  readonly data: { readonly path: string; readonly label?: string; readonly test?: string } | null;
  /** Absolute, as all paths here. */
  readonly dir: string;
  readonly isTemporary: boolean;
  readonly modelDir: string;
  /** auto, node, webgpu, wasm or cpu */
  readonly engine: string;
}

/** The customer's purse at least, in sats; a folder that is used again keeps what is left. */
const PURSE_SATS = 1_000_000;

/** Of each validator and round: at most. */
const FEE_SATS = 20;

export function purseSats(plan: DemoPlan): number {
  const { trainers, validators, rounds, priceSats } = plan;
  return Math.max(PURSE_SATS, 2 * rounds * (trainers * priceSats + validators * feeSats(plan)));
}

export function feeSats({ priceSats }: Pick<DemoPlan, 'priceSats'>): number {
  return Math.min(FEE_SATS, priceSats);
}

/** The job file for publish-dataset. Short waits: everybody is on this machine. */
export function jobFile(plan: DemoPlan): string {
  const { model, rounds, trainers, validators, priceSats, engine } = plan;
  const job = {
    ...{ title: 'nmkt demo', model, rounds, trainers, quorum: quorumOf(trainers) },
    ...{ rail: priceSats === 0 ? 'none' : 'instalments', maxPriceSats: priceSats },
    ...{ bidWindow: '30s', readyTimeout: '1m', roundTimeout: '10m', revealTimeout: '1m' },
    ...(validators > 0 && { validators, validatorFeeSats: feeSats(plan) }),
    acceptedEngines: engine === 'auto' ? 'wasm' : engine,
  };
  return `${JSON.stringify(job, undefined, 2)}\n`;
}

/** Accepted updates that make a round count. */
export function quorumOf(trainers: number): number {
  return Math.ceil((2 * trainers) / 3);
}
