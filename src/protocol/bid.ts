import { z } from 'zod';
import type { EngineId } from '../learning/types.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { int, msat, sha256Hex, text, unixSec } from './scalars.js';

export const engineId = text(120).min(1) as unknown as z.ZodType<EngineId, EngineId>;

/** Of an own stake in the job; absent: none is named. */
export const namedLock = sha256Hex.optional();

/** Price is per accepted round and shard; `capacity` the shards it would take, of which a job may give it fewer; `throughput` in examples per second, measured. */
export const BID = eventType(
  'bid',
  KINDS.bid,
  'bid',
  z.object({
    priceMsat: msat,
    capacity: int(1, 1_024),
    engine: engineId,
    throughput: int(0, 1_000_000_000),
    expires: unixSec,
    lock: namedLock,
  }),
);

export const WITHDRAWN = eventType('withdrawn', KINDS.bid, 'withdrawn', z.object({ reason: text(500) }));
