import { createHash, createHmac } from 'node:crypto';
import { schnorr } from '@noble/curves/secp256k1.js';

/** Events as they lie on a relay, read a second time: from docs/protocol.md alone. Nothing here imports the code under test. */

export interface RawEvent {
  readonly id: string;
  readonly pubkey: string;
  readonly created_at: number;
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
  readonly sig: string;
}

/** The rule that fails, and the event that breaks it. */
export class Bad extends Error {
  constructor(
    readonly event: string,
    why: string,
  ) {
    super(why);
  }
}
export function must(holds: boolean, event: string, why: string): asserts holds {
  if (!holds) throw new Bad(event, why);
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (text: string): Buffer => Buffer.from(text, 'hex');
export function sha256(...parts: readonly (Uint8Array | string)[]): Buffer {
  return createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();
}
export function hmac(key: Uint8Array, ...parts: readonly (Uint8Array | string)[]): Buffer {
  return createHmac('sha256', key)
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();
}
/** HKDF-Expand of RFC 5869 for 32 bytes. */
export const expand = (key: Uint8Array, info: string): Buffer => hmac(key, info, Uint8Array.of(1));
/** What the public sees of a blob's key. */
export const expandCommit = (key: string): string => hex(expand(fromHex(key), 'nmkt/1/commit'));
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface Pointer {
  readonly sha256: string;
  readonly size: number;
  readonly packed: number;
  readonly chunks: number;
  readonly root: string;
  readonly commit: string;
  readonly ids: readonly string[];
}
export interface Seat {
  readonly trainer: string;
  readonly bid: string;
  readonly shard: number;
  readonly priceMsat: string;
  readonly grant: string;
}
export interface BidRow {
  readonly bid: string;
  readonly trainer: string;
  readonly priceMsat: string;
  readonly effectiveMsat: string;
  readonly attempts: number;
  readonly successes: number;
  readonly outcome: string;
  readonly shards?: number;
  readonly stakeMsat?: string;
  readonly rule?: string;
  readonly opened?: {
    readonly capacity: number;
    readonly engine: string;
    readonly throughput: number;
    readonly expires: number;
    readonly salt: string;
  };
}
export interface Spot {
  readonly segment: number;
  readonly hash: string;
}
export interface ScoreRow {
  readonly submission: string;
  readonly trainer: string;
  readonly shard: number;
  readonly ownBeforePpm: number;
  readonly ownAfterPpm: number;
  readonly otherBeforePpm: number;
  readonly otherAfterPpm: number;
  readonly ownSePpm: number;
  readonly otherSePpm: number;
  readonly dPpm: number;
  readonly ePpm: number;
  readonly lossPpm: number;
  readonly spot?: Spot | null;
}
export interface Verdict {
  readonly submission: string | null;
  readonly trainer: string;
  readonly shard: number;
  readonly rule: string;
}
export interface PlanLine {
  readonly payout: string;
  readonly payee: string;
  readonly purpose: string;
  readonly amountMsat: string;
}
export interface Shape {
  readonly model: string;
  readonly task: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly hidden: readonly number[];
}
export interface EvaluationSet {
  readonly snapshot: string;
  readonly rows: number;
  readonly commitment: string;
}

/** Every field that any content has: which ones are there follows from kind and phase. */
export interface Fields {
  readonly round: number;
  readonly shard: number;
  readonly of: 'commit' | 'reveal';
  readonly ids: readonly string[];
  readonly until: number | null;
  readonly list: string;
  readonly s: string;
  readonly trainer: string;
  readonly submission: string;
  readonly segment: number;
  readonly committed: string;
  readonly repeated: string;
  readonly ends?: readonly string[];
  readonly scores: string;
  readonly accepted: readonly Verdict[];
  readonly rejected: readonly Verdict[];
  readonly aggregate: string;
  readonly lossPpm: number;
  readonly accuracyPpm: number | null;
  readonly open: string;
  readonly commitment: string;
  readonly commit: string;
  readonly salt: string;
  readonly baseHash: string;
  readonly updateHash: string;
  readonly checkpoints?: readonly string[];
  readonly engine: string;
  readonly data: string;
  readonly inline?: string;
  readonly base: Pointer;
  readonly difference?: { readonly to: string; readonly sha256: string; readonly size: number };
  readonly trainers: readonly { readonly trainer: string; readonly shard: number; readonly rounds: number }[];
  readonly capacity: number;
  readonly bids: readonly BidRow[];
  readonly winners: readonly Seat[];
  readonly withheld?: number;
  readonly rule: { readonly name: string; readonly f: number; readonly m: number };
  readonly root?: Pointer;
  readonly out: string | null;
  readonly reason: string;
  readonly in: Seat | null;
  readonly award: string;
  readonly grant: string;
  readonly settlement: string;
  readonly close: string;
  readonly plan: readonly PlanLine[];
  readonly totalMsat: string;
  readonly payout: string;
  readonly payee: string;
  readonly claim: string;
  readonly amountMsat: string;
  readonly invoice: string;
  readonly invoiceHash: string;
  readonly paymentHash: string;
  readonly preimage: string;
  readonly priceMsat: string;
  readonly expires: number;
  readonly weights: Pointer;
  readonly model: Shape;
  readonly schema: { readonly task: string; readonly inputs: number; readonly outputs: number };
  readonly key: string | null;
  readonly rounds: number;
  readonly part: string;
  readonly shards: readonly {
    readonly examples: number;
    readonly size: number;
    readonly chunks: number;
    readonly commit: string;
  }[];
  readonly locator: string;
}
/** Of 4628 `claim-bad`. */
export interface ClaimBad {
  readonly claim: string;
  readonly payout: string;
  readonly rule: string;
  readonly invoice: string | null;
}
/** Of 4629. */
export interface Scores {
  readonly round: number;
  readonly list: string;
  readonly engine: string;
  readonly data: string;
  readonly scores: readonly ScoreRow[];
}
export interface Terms {
  readonly dataset: string;
  readonly evalA: EvaluationSet;
  readonly evalB: EvaluationSet;
  readonly model: Shape;
  readonly rounds: number;
  readonly trainers: number;
  readonly shardsPerTrainer?: number;
  readonly newKeyShare?: number;
  readonly bids?: string;
  readonly payment: string;
  readonly keyRelease: string;
  readonly validators?: { readonly count: number; readonly feeMsat: string };
  readonly minBidPow?: number;
  readonly stake?: {
    readonly trainerMsat: string;
    readonly validatorMsat: string;
    readonly delegatedPpm: number;
    readonly maxDelegated: number;
  };
  readonly award: string;
  readonly quorum: number;
  readonly maxPriceMsat: string;
  readonly network: string;
  readonly acceptedEngines: readonly string[];
  readonly strictLoss: boolean;
  readonly leastWorkPpm?: number;
  readonly maxReplacements: number;
  readonly deadline: number;
  readonly readyTimeoutSec: number;
  readonly roundTimeoutSec: number;
  readonly revealTimeoutSec: number;
  readonly payWithinSec: number;
  readonly seedCommitment: string;
  readonly chainCommitment: string;
  readonly access: string;
  readonly hyper: {
    readonly optimizer: string;
    readonly learningRate: string;
    readonly batch: number;
    readonly proximal?: string;
    readonly epochs?: number;
    readonly localSteps?: number;
  };
  readonly spot?: { readonly ratePpm: number; readonly everySteps: number; readonly engine: string } | null;
}

const tag = ({ tags }: RawEvent, name: string): string | undefined => tags.find(([key]) => key === name)?.[1];
export const fields = <T = Fields>({ content }: RawEvent): T => JSON.parse(content) as T;
/** Name of an event: its phase, or its kind where that has none. */
export const nameOf = (event: RawEvent): string =>
  `${event.kind}${tag(event, 'phase') ? `/${tag(event, 'phase')}` : ''}`;
export const prevOf = (event: RawEvent): string | undefined => tag(event, 'prev');
export const seqOf = (event: RawEvent): number => Number(tag(event, 'seq'));

/** Id and signature of NIP-01 and BIP-340; each event once, however often it is audited. */
const known = new Map<string, boolean>();
export function isSigned(event: RawEvent): boolean {
  const { id, pubkey, created_at, kind, tags, content, sig } = event;
  const hash = sha256(JSON.stringify([0, pubkey, created_at, kind, tags, content]));
  if (hex(hash) !== id) return false;
  const name = id + sig + pubkey;
  const is = known.get(name) ?? schnorr.verify(fromHex(sig), hash, fromHex(pubkey));
  known.set(name, is);
  return is;
}

export interface Chain {
  readonly events: readonly RawEvent[];
  readonly fork: readonly string[] | null;
  readonly broken: string | null;
  readonly gapBefore: RawEvent | null;
}

/** All that is signed, by id; job events by author in chains. */
export class Events {
  readonly byId = new Map<string, RawEvent>();
  readonly chains = new Map<string, Chain>();

  constructor(
    all: readonly RawEvent[],
    readonly jobId: string,
  ) {
    for (const event of all) if (isSigned(event)) this.byId.set(event.id, event);
    const authors = new Map<string, Map<number, RawEvent[]>>();
    for (const event of this.byId.values()) {
      const isJobEvent = [4622, 4625, 4626, 4627, 4628, 4629, 4630, 4631, 4632, 4633].includes(event.kind);
      if (event.id !== jobId && !(isJobEvent && tag(event, 'e') === jobId)) continue;
      const slots = authors.get(event.pubkey) ?? new Map<number, RawEvent[]>();
      authors.set(event.pubkey, slots);
      slots.set(seqOf(event), [...(slots.get(seqOf(event)) ?? []), event]);
    }
    for (const author of [...authors.keys()].sort(byText)) this.chains.set(author, follow(authors.get(author)!));
  }

  /** @throws Bad when it is not at hand */
  at(id: string): RawEvent {
    const event = this.byId.get(id);
    must(event !== undefined, id, 'missing');
    return event;
  }
}

function follow(slots: ReadonlyMap<number, readonly RawEvent[]>): Chain {
  const events: RawEvent[] = [];
  const end = (rest: Partial<Chain>): Chain => ({ events, fork: null, broken: null, gapBefore: null, ...rest });
  for (let seq = 0; ; seq++) {
    const here = slots.get(seq);
    if (here === undefined) {
      const later = [...slots.keys()].filter((other) => other > seq).sort((a, b) => a - b)[0];
      return end({ gapBefore: later === undefined ? null : slots.get(later)![0]! });
    }
    const [event, ...others] = here;
    if (others.length > 0) return end({ fork: here.map(({ id }) => id).sort(byText) });
    if (seq > 0 && prevOf(event!) !== events[seq - 1]!.id) return end({ broken: event!.id });
    events.push(event!);
  }
}
