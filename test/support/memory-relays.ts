import { memoryNetwork as network, type MemoryNetwork } from '../../src/simulate/memory-relays.js';
import { keepEvent } from './secrets/outputs.js';

export type { MemoryNetwork } from '../../src/simulate/memory-relays.js';

/**
 * Memory relays whose events are looked through for secrets.
 *
 * @param wait  how slow and silent relays take their time; without one they take none
 */
export function memoryNetwork(urls?: readonly string[], wait?: (ms: number) => Promise<void>): MemoryNetwork {
  return network(urls, { onStored: keepEvent, ...(wait && { wait }) });
}
