import type { NostrEvent } from '../../src/ports.js';
import { poolForTest, relayForTest } from '../relay/samples.js';

/**
 * A real relay that holds these events until the test ends.
 *
 * @param nowSec  by the relay's clock, which decides what has expired
 * @returns       its URL
 */
export async function relayWith(
  events: readonly NostrEvent[],
  nowSec = Math.floor(Date.now() / 1000),
): Promise<string> {
  const { url } = await relayForTest({ nowSec: () => nowSec });
  const pool = poolForTest([url]);
  for (const event of events) {
    const [outcome] = await pool.publish(event);
    if (outcome?.state !== 'stored') throw new Error(`not stored: ${outcome?.message}`);
  }
  return url;
}
