import { NmktError } from '../errors.js';
import type { NostrEvent, Relays } from '../ports.js';

/** @throws NmktError `relay-unreachable` or `relay-refused` when no relay keeps it */
export async function requireStored(relays: Relays, event: NostrEvent): Promise<void> {
  const outcomes = await relays.publish(event);
  if (outcomes.some((outcome) => outcome.state === 'stored')) return;
  const isRefused = outcomes.every((outcome) => outcome.state === 'refused');
  throw new NmktError(
    isRefused ? 'relay-refused' : 'relay-unreachable',
    `no relay took event ${event.id.slice(0, 12)}… of kind ${event.kind}`,
    {
      expected: 'OK true from at least one relay',
      got: outcomes.map((outcome) => `${outcome.relay}: ${outcome.message}`).join('; ') || 'no relay',
      remedy: isRefused ? 'use another relay with --relay' : 'check the network and run the same command again',
    },
  );
}
