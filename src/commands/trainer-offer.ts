import type { EngineId, HyperParameters, ModelSpec } from '../learning/types.js';
import { rungOf } from '../market/auction.js';
import { OFFERED_MODELS, type OfferContent } from '../protocol/offer.js';
import type { Wallet } from '../ports.js';
import { keepOffer, type OfferPorts } from '../roles/offers.js';
import { measureThroughput } from '../roles/throughput.js';
import type { Context } from './command.js';
import type { Bounds } from './trainer-bounds.js';

/** The offer of serve-trainer: its bounds and its price policy, and how fast its engine is. */

/** What every engine trains, so that offers can be compared. */
const REFERENCE: { readonly model: ModelSpec; readonly hyper: HyperParameters } = {
  model: { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [128] },
  hyper: { optimizer: 'sgd', learningRate: 0.1, batch: 32, epochs: 1 },
};
const MAX_RELAYS = 8;

export function offerOf(
  bounds: Bounds,
  engine: EngineId,
  throughput: number,
  relays: readonly string[],
): Omit<OfferContent, 'expires'> {
  const { priceMsat, gflopMsat, percentPerJob, network, maxParams, maxBytes, maxMinutes, shards } = bounds;
  return {
    ...{ role: 'trainer', network, engine, throughput },
    leastMsat: priceMsat,
    tflopMsat: gflopMsat === null ? null : BigInt(Math.ceil(gflopMsat * 1_000)),
    perJobPpm: Math.round(percentPerJob * 10_000),
    models: [...OFFERED_MODELS],
    ...{ maxParams, maxBytes, maxSeconds: Math.max(1, Math.round(maxMinutes * 60)), shards },
    relays: relays.slice(0, MAX_RELAYS),
  };
}

/** Until `signal`. A machine that cannot be measured now says 0. */
export async function offerWork(
  { deps }: Context,
  { bounds, ...ports }: OfferPorts & { readonly bounds: Bounds; readonly wallet: Wallet | null },
  engine: EngineId,
  signal: AbortSignal,
): Promise<void> {
  let throughput = 0;
  try {
    const own = await deps.engine({ accepted: [rungOf(engine)] });
    throughput = await measureThroughput(own, REFERENCE).finally(() => own.close());
  } catch (error) {
    ports.progress.warn(`the offer says no throughput: ${(error as Error).message}`);
  }
  if (!signal.aborted) await keepOffer(ports, offerOf(bounds, engine, throughput, ports.relays.urls), signal);
}
