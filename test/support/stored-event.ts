import type { NostrEvent } from '../../src/ports.js';
import type { StoredEvent } from '../../src/relay/store.js';

export async function storedEvent(stored: StoredEvent): Promise<NostrEvent> {
  const [event] = JSON.parse((await stored.message(Buffer.from('[')))!.toString()) as [NostrEvent];
  return event;
}
