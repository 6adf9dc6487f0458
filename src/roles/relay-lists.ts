import { isNmktError } from '../errors.js';
import type { Pubkey } from '../hash.js';
import {
  buildRelayList,
  INBOX_RELAYS,
  isKeptByUs,
  MAX_LISTED,
  newestList,
  listedRelays,
  RELAY_LIST,
} from '../protocol/relay-lists.js';
import type { Clock, NostrEvent, Progress, Relays, Signer } from '../ports.js';

/** A trainer says where grants reach it; a customer looks it up. */

/** The URL in one spelling, or undefined where nobody should connect to it. */
export type AllowedRelay = (url: string) => string | undefined;

/** A list is a help, not a need: who does not answer soon is not waited for. */
const LOOKUP_MS = 3_000;

/** @returns by recipient, only those who published a list with a relay that may be connected to */
export async function findInboxes(
  people: readonly Pubkey[],
  { relays, allowedRelay }: { readonly relays: Relays; readonly allowedRelay: AllowedRelay },
): Promise<ReadonlyMap<Pubkey, readonly string[]>> {
  if (people.length === 0) return new Map();
  const { events } = await relays.fetch([{ kinds: [INBOX_RELAYS], authors: people }], { timeoutMs: LOOKUP_MS });
  return new Map(
    people.flatMap((one) => {
      const list = newestList(events, INBOX_RELAYS, one);
      const found = list === undefined ? [] : listedRelays(list, allowedRelay);
      return found.length === 0 ? [] : [[one, found] as const];
    }),
  );
}

export interface ListPorts {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly allowedRelay: AllowedRelay;
}

/**
 * Publishes both lists of this key where there are none, or where ours says something else. A list that another program made is its
 * owner's: it stays, and its inbox is read as well. Nothing is published while less than half of the relays answer: a list may be there.
 *
 * @param inbox  the relays of the settings that take gift wraps
 * @returns      the relays where grants may arrive: those of the settings, and of a list of the owner's
 */
export async function keepRelayLists(ports: ListPorts, inbox: readonly string[]): Promise<readonly string[]> {
  const { relays, signer, progress, allowedRelay } = ports;
  const { urls } = relays;
  const filter = { kinds: [RELAY_LIST, INBOX_RELAYS], authors: [signer.pubkey] };
  const { events, answered } = await relays.fetch([filter], { timeoutMs: LOOKUP_MS });
  const [list, box] = [RELAY_LIST, INBOX_RELAYS].map((kind) => newestList(events, kind, signer.pubkey));
  if (2 * answered.length >= urls.length) {
    await keepList(ports, RELAY_LIST, urls, list);
    await keepList(ports, INBOX_RELAYS, inbox, box);
  }
  if (box === undefined || isKeptByUs(box)) return urls;
  const others = listedRelays(box, allowedRelay).filter((url) => !urls.includes(url));
  if (others.length > 0)
    progress.note(`grants are read on ${others.join(', ')} too: the inbox that this key names (kind 10050)`);
  return [...urls, ...others];
}

async function keepList(
  { relays, signer, clock, progress, allowedRelay }: ListPorts,
  kind: number,
  wanted: readonly string[],
  there: NostrEvent | undefined,
): Promise<void> {
  if (there !== undefined && !isKeptByUs(there)) return;
  const named = there === undefined ? [] : listedRelays(there, allowedRelay);
  const isEqual = named.join(' ') === wanted.slice(0, MAX_LISTED).join(' ');
  if (isEqual) return;
  // Relays keep the newer one: also where this clock was ahead before.
  const createdAt = Math.max(clock.nowSec(), (there?.created_at ?? 0) + 1);
  try {
    await relays.publish(await signer.sign(buildRelayList(kind, wanted, createdAt)));
  } catch (error) {
    if (!isNmktError(error)) throw error;
    progress.warn(`the list of relays of kind ${kind} is not published: ${error.message}`);
  }
}
