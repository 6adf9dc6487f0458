import type { NostrEvent } from '../../src/ports.js';
import { poolForTest, relayForTest } from '../relay/samples.js';

/** A real relay that holds these events until the test ends. @returns its URL */
export async function relayWith(events: readonly NostrEvent[]): Promise<string> {
  const { url } = await relayForTest({ nowSec: () => Math.floor(Date.now() / 1000) });
  const pool = poolForTest([url]);
  for (const event of events) {
    const [outcome] = await pool.publish(event);
    if (outcome?.state !== 'stored') throw new Error(`not stored: ${outcome?.message}`);
  }
  return url;
}
