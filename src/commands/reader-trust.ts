import type { Command } from 'commander';
import { parsePubkey } from '../config/identifiers.js';
import type { Pubkey } from '../hash.js';
import type { ReaderTrust } from '../market/reputation.js';
import { FOLLOW_LIST, followedKeys } from '../protocol/follow-list.js';
import { newestList } from '../protocol/relay-lists.js';
import type { Relays } from '../ports.js';
import type { Context } from './command.js';

/** Whose word counts in a rating: flags of `rating` and `explain`. */

export function addTrustFlags(program: Command): void {
  program
    .option(
      '--trust <npubs...>',
      'keys whose receipts and verdicts count in full, besides the own one and those it follows',
    )
    .option('--as <npub>', 'see it with the eyes of this key: its own receipts and those of whom it follows');
}

/**
 * The reader, whom it follows (kind 3) as far as the relays know, and whom it names.
 *
 * @throws NmktError `bad-key` at once, before any relay is asked
 */
export function readerTrust(
  { deps }: Pick<Context, 'deps'>,
  options: Readonly<Record<string, unknown>>,
): (relays: Relays) => Promise<ReaderTrust> {
  const named = ((options['trust'] as string[] | undefined) ?? []).map(parsePubkey);
  const other = options['as'] === undefined ? undefined : parsePubkey(options['as'] as string);
  return async (relays) => {
    const reader = other ?? (await deps.keyReport())?.pubkey ?? null;
    const follows = reader === null ? [] : await followsOf(relays, reader);
    return { trusted: new Set([...(reader === null ? [] : [reader]), ...follows, ...named]), network: deps.network };
  };
}

/** Whom a key follows (kind 3), as far as the relays know. */
export async function followsOf(relays: Relays, reader: Pubkey): Promise<ReadonlySet<Pubkey>> {
  const { events } = await relays.fetch([{ kinds: [FOLLOW_LIST], authors: [reader] }]);
  const list = newestList(events, FOLLOW_LIST, reader);
  return list === undefined ? new Set() : followedKeys(list);
}
