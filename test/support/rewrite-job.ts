import type { EventId, Pubkey } from '../../src/hash.js';
import type { EventTemplate, NostrEvent } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import { JOB_KINDS, KINDS } from '../../src/protocol/kinds.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import { claimHash } from '../../src/protocol/settlement.js';
import type { ScoreRow } from '../../src/protocol/score.js';
import type { SealedUpdate } from '../../src/protocol/submission.js';
import { signEvent } from '../../src/schnorr.js';
import type { World } from './market-world.js';
import { movedRows, shownState, type States } from './retold-spots.js';

/**
 * The story of a job told again with one event changed: its author signs the other event, and everybody after it signs what
 * cites it, in chains without a gap and with real invoices. What a liar with all keys could have published at the time.
 */

/** Null leaves the event out. */
export type Change = (event: NostrEvent) => Partial<EventTemplate> | null;

export interface Retold {
  readonly events: readonly NostrEvent[];
  /** Of an event of the first story, the id it now has. */
  readonly idOf: (id: EventId) => EventId;
  /** By submission as it is told now, what opens the state that its new draw asks for. */
  readonly states?: ReadonlyMap<EventId, SealedUpdate['state']>;
}

export async function rewriteJob(
  world: World,
  events: readonly NostrEvent[],
  target: EventId,
  change: Change,
  states: States = new Map(),
): Promise<Retold> {
  const secrets = new Map(
    [world.customer, ...world.trainers].map(({ signer, secret }) => [signer.pubkey as string, secret]),
  );
  const isTold = ({ kind, pubkey }: NostrEvent) =>
    secrets.has(pubkey) && (JOB_KINDS.includes(kind) || kind === KINDS.snapshot);
  const byId = new Map(events.filter(isTold).map((event) => [event.id as string, event]));
  const told = new Map<string, NostrEvent | null>();
  const chains = new Map<Pubkey, NostrEvent[]>();

  /** Ids in a text become those of the events told again. */
  const cite = async (text: string): Promise<string> => {
    for (const id of new Set(text.match(/[0-9a-f]{64}/g))) if (byId.has(id)) await tell(byId.get(id)!);
    return text.replace(/[0-9a-f]{64}/g, (id) => told.get(id)?.id ?? id);
  };

  async function tell(event: NostrEvent): Promise<void> {
    if (told.has(event.id)) return;
    const prev = tagValue(event, 'prev');
    if (prev !== undefined) await tell(byId.get(prev)!);
    const changed = event.id === target ? change(event) : {};
    if (changed === null) return void told.set(event.id, null);
    const other = { ...event, ...changed };
    const chain = chains.get(event.pubkey) ?? [];
    const content = spot(await pay(await cite(other.content), other), event, chain);
    const isInChain = event.kind !== KINDS.snapshot;
    const tags: string[][] = [];
    for (const [name, ...values] of other.tags) {
      if (name === 'prev' && chain.length === 0) continue;
      if (name === 'seq') tags.push(['seq', `${chain.length}`]);
      else if (name === 'prev') tags.push(['prev', chain.at(-1)!.id]);
      else tags.push([name!, ...(await Promise.all(values.map(cite)))]);
    }
    const { kind, created_at } = other;
    const same =
      event.id !== target && content === event.content && JSON.stringify(tags) === JSON.stringify(event.tags);
    const again = same ? event : signEvent({ kind, created_at, tags, content }, secrets.get(event.pubkey)!);
    told.set(event.id, again);
    if (isInChain) chains.set(event.pubkey, [...chain, again]);
  }

  const shown: { readonly round: number; readonly row: ScoreRow }[] = [];
  const toldAs = (id: EventId) => [...told.values()].find((one) => one?.id === id) ?? undefined;

  /** Another draw needs other repetitions. */
  function spot(content: string, { kind, id }: NostrEvent, chain: readonly NostrEvent[]): string {
    if (kind !== KINDS.score || id === target || states.size === 0) return content;
    const moved = movedRows(world, content, chain, toldAs);
    const { round, scores } = JSON.parse(moved) as { readonly round: number; readonly scores: ScoreRow[] };
    if (moved !== content) shown.push(...scores.filter((row) => row.spot !== null).map((row) => ({ round, row })));
    return moved;
  }

  const asked = new Map<string, Promise<{ readonly invoice: string; readonly paymentHash: string }>>();
  /** A claim and a receipt under another settlement, of another amount or payee, need another invoice: the same for both. */
  async function pay(content: string, { kind, tags, id, pubkey }: NostrEvent): Promise<string> {
    const name = `${kind}/${tagValue({ tags }, 'phase') ?? ''}`;
    const isClaim = name === `${KINDS.claim}/claim`;
    if ((!isClaim && name !== `${KINDS.notice}/receipt`) || id === target) return content;
    const said = JSON.parse(content) as Record<'settlement' | 'payout' | 'payee' | 'amountMsat', string>;
    if (byId.has(said.settlement)) return content;
    const { settlement, payout } = said as unknown as Parameters<typeof claimHash>[0];
    const payee = (isClaim ? pubkey : said.payee) as Pubkey;
    const amountMsat = BigInt(said.amountMsat);
    const descriptionHash = claimHash({ job: world.jobId, settlement, payout, payee, amountMsat });
    const [from, to] = [world.lightning.wallet('retold', 10n ** 12n), world.lightning.wallet('payee')];
    const making =
      asked.get(descriptionHash) ?? to.makeInvoice({ msat: amountMsat, descriptionHash, expirySec: 86_400 });
    asked.set(descriptionHash, making);
    const { invoice, paymentHash } = await making;
    if (isClaim) return JSON.stringify({ ...said, invoiceHash: invoiceHash(invoice) });
    const paid = await from.pay(invoice, 0);
    if (paid.kind !== 'paid') throw new Error(`not paid: ${paid.kind}`);
    return JSON.stringify({ ...said, invoice, paymentHash, preimage: paid.preimage });
  }

  for (const event of byId.values()) await tell(event);
  const again = [...told.values()].filter((event) => event !== null);
  const chunks = shown.map(({ round, row }) => [row.submission, shownState(world, states, round, row)] as const);
  return {
    events: [...events.filter((event) => !isTold(event)), ...again, ...chunks.flatMap(([, { events: own }]) => own)],
    idOf: (id) => told.get(id)?.id ?? id,
    states: new Map(chunks.map(([submission, { state }]) => [submission, state])),
  };
}

/** Does the schema of its kind take this content? */
export function isReadable(event: NostrEvent): boolean {
  try {
    parseJobEvent(event);
    return true;
  } catch {
    return false;
  }
}

export type Path = readonly (string | number)[];

/** Every place of a content with another value of the same kind; of lists also without the first, and the first twice. */
export function* changes(value: unknown, path: Path = []): Generator<readonly [Path, unknown]> {
  if (typeof value === 'boolean') yield [path, !value];
  else if (typeof value === 'number')
    yield [path, /Ppm$/.test(String(path.at(-1))) ? value + 2_000 + Math.floor(value / 50) : value + 1];
  else if (typeof value === 'string') yield [path, otherText(value)];
  else if (Array.isArray(value)) {
    if (value.length > 0)
      yield* [[path, value.slice(1)] as const, [path, [value[0], ...(value as unknown[])]] as const];
    for (const [i, item] of value.entries()) yield* changes(item, [...path, i]);
  } else if (typeof value === 'object' && value !== null)
    for (const [name, field] of Object.entries(value)) yield* changes(field, [...path, name]);
}

/** Of the same spelling: an amount a msat more, of hex and base64 one digit in the middle changed, else a letter more. */
function otherText(text: string): string {
  if (/^[0-9]{1,20}$/.test(text)) return `${BigInt(text) + 1n}`;
  const middle = text.length >> 1;
  const digit = text[middle]!;
  if (/^[0-9a-f]{64}$/.test(text) || text.length > 100)
    return text.slice(0, middle) + (digit === '0' ? '1' : '0') + text.slice(middle + 1);
  return `${text}x`;
}

export function withChange(value: unknown, [head, ...rest]: Path, other: unknown): unknown {
  if (head === undefined) return other;
  if (Array.isArray(value)) return value.map((item: unknown, i) => (i === head ? withChange(item, rest, other) : item));
  return { ...(value as object), [head]: withChange((value as Record<string, unknown>)[head], rest, other) };
}

export const spellPath = (path: Path): string => path.map((part) => (typeof part === 'number' ? '*' : part)).join('.');
