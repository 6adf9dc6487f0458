import type { Relays } from '../ports.js';
import { allowedRelayUrl } from '../relay/relay-url.js';
import type { PublishPorts } from '../roles/publish.js';
import { keepRelayLists } from '../roles/relay-lists.js';
import type { Context } from './command.js';
import { currentKnowledge } from './relay-fit.js';
import { isGood } from './relay-verdict.js';

/** Says where grants reach this trainer. @returns the relays to read them from */
export async function inboxRelays({ deps }: Context, ports: PublishPorts): Promise<Relays> {
  const { urls } = ports.relays;
  const known = await currentKnowledge(deps);
  const keeps = urls.filter((url) => {
    const steps = known.get(url)?.probe.steps ?? null;
    return steps === null || isGood(steps.wrap);
  });
  const allowedRelay = (url: string) => allowedRelayUrl(url, deps.network, urls);
  const inbox = await keepRelayLists({ ...ports, allowedRelay }, keeps.length > 0 ? keeps : urls);
  return inbox.length === urls.length ? ports.relays : deps.relays(inbox);
}
