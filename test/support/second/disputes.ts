import { byText, fields, fromHex, hex, nameOf, sha256, u32, type RawEvent } from './wire.js';

/** "Disputes" of docs/protocol.md: who repeats, and who is right, from signed events whose signatures and chains are sound. */

export interface Outcome {
  readonly trainer: string;
  readonly order: readonly string[];
  readonly right: 'trainer' | 'customer' | 'nobody' | 'open';
  readonly owedMsat: bigint;
}

interface Said {
  readonly round: number;
  readonly shard: number;
  readonly trainer: string;
  readonly segment: number;
  readonly committed: string;
  readonly complaint: string;
  readonly dispute: string;
  readonly draw: string;
  readonly engine: string;
  readonly hash: string;
  readonly nonce: string;
  readonly nonces?: readonly string[];
  readonly rejected: readonly { readonly trainer: string; readonly shard: number; readonly rule: string }[];
  readonly winners: readonly { readonly trainer: string; readonly shard: number; readonly priceMsat: string }[];
  readonly spot: { readonly engine: string } | null;
}
const said = (event: RawEvent) => fields<Said>(event);

/** Of a job of one award without replacements, whose seats that a proof rejected were all measured. */
export function outcomesOf(events: readonly RawEvent[]): Outcome[] {
  const named = (name: string) => events.filter((event) => nameOf(event) === name);
  const [job] = named('4623');
  const engine = said(job!).spot!.engine;
  const seats = named('4626/award').flatMap((award) => said(award).winners);
  return named('4628/dispute').map((dispute, index) => {
    const { round, shard, complaint } = said(dispute);
    const fraud = named('4628/fraud').find((one) => said(one).round === round && said(one).shard === shard)!;
    const { trainer, committed, segment } = said(fraud);
    const draw = named('4628/dispute-draw').find((one) => said(one).dispute === dispute.id);
    const ids = draw === undefined ? [] : (said(draw).nonces ?? []);
    const opened = ids.map((id) => events.find((event) => event.id === id)!);
    const nonces = [...opened].sort((a, b) => byText(a.pubkey, b.pubkey)).map((event) => fromHex(said(event).nonce));
    const seed = sha256('nmkt/1/draw', 'dispute', fromHex(job!.id), u32(index), fromHex(complaint), ...nonces);
    const place = (who: string): string => hex(sha256(seed, fromHex(who)));
    const order = opened.map(({ pubkey }) => pubkey).sort((a, b) => byText(place(a), place(b)));
    const counted = named('4629/verdict').filter(
      (one) =>
        order.includes(one.pubkey) &&
        said(one).draw === draw?.id &&
        said(one).engine === engine &&
        said(one).segment === segment,
    );
    const first = order.flatMap((who) => counted.find(({ pubkey }) => pubkey === who) ?? []);
    const votes = first.reduce((sum, one) => sum + (said(one).hash === committed ? 1 : -1), 0);
    const decided = votes > 0 ? 'trainer' : votes < 0 ? 'customer' : 'open';
    const right = draw !== undefined && order.length === 0 ? 'nobody' : decided;
    const lost = named('4622/close')
      .filter((close) => said(close).round === round)
      .flatMap((close) => said(close).rejected)
      .filter((row) => row.trainer === trainer && row.rule === 'spot-check');
    const priceOf = (at: number) => BigInt(seats.find((seat) => seat.shard === at)!.priceMsat);
    const owedMsat = right === 'trainer' ? lost.reduce((sum, row) => sum + priceOf(row.shard), 0n) : 0n;
    return { trainer, order, right, owedMsat };
  });
}
