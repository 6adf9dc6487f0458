import { sha256, type EventId, type Pubkey } from '../../src/hash.js';
import { runAuction, type Standing } from '../../src/market/auction.js';
import { bidOpenedAs, openingOf } from '../../src/market/sealed-bids.js';
import type { ContentOf, EventOf } from '../../src/protocol/events.js';
import { bidCommitment, type SealedBidContent } from '../../src/protocol/sealed-bid.js';
import { ENGINE, TERMS, customer, grantOf, people, scriptJob, type JobScript } from './job-script.js';

/** A job with sealed bids up to its award: everybody's seal holds what they ask. */

export interface SealedScript {
  readonly script: JobScript;
  readonly contents: ReadonlyMap<EventId, SealedBidContent>;
  readonly award: ContentOf<'award'>;
}

const ANY_SEAL = Buffer.alloc(99, 2).toString('base64');

/** @param seal  the text that `sealed` carries; default one that nobody opens */
export function sealedScript(
  pricesMsat: readonly bigint[],
  terms: Partial<ContentOf<'job'>>,
  standing: ReadonlyMap<Pubkey, Standing> = new Map(),
  seal: (from: number, content: SealedBidContent) => string = () => ANY_SEAL,
): SealedScript {
  const script = scriptJob({ trainers: 2, until: 'job', terms: { bids: 'sealed', award: 'deadline', ...terms } });
  const contents = new Map<EventId, SealedBidContent>();
  const bids: EventOf<'bid'>[] = [];
  pricesMsat.forEach((priceMsat, i) => {
    const common = { priceMsat, capacity: 1, engine: ENGINE, throughput: 5_000, expires: TERMS.deadline };
    const content = { ...common, salt: sha256('bid salt', String(i)) };
    const who = people[i]!;
    const commitment = bidCommitment(script.jobId, who.pubkey, content);
    const event = script.say(who, 'sealed-bid', `sealed/${i}`, { commitment, sealed: seal(i, content) })!;
    contents.set(event.id, content);
    bids.push(bidOpenedAs(event, content)!);
  });
  const job = script.at('job', 'job').content;
  const { considered, seats } = runAuction({
    ...{ terms: job, customer: customer.pubkey, bids, standing, blocked: new Set() },
    atSec: script.nowSec,
  });
  const award: ContentOf<'award'> = {
    bids: considered.map((row) => ({ ...row, opened: openingOf(contents.get(row.bid)!) })),
    winners: seats.map((seat) => ({
      ...seat,
      grant: grantOf(
        people.find(({ pubkey }) => pubkey === seat.trainer)!,
        seat.shard,
      ),
    })),
    rule: { name: 'fedavg', f: 0, m: 0 },
  };
  return { script, contents, award };
}
