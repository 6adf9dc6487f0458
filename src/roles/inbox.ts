import { isNmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import {
  parseGrant,
  type EvalGrant,
  type Grant,
  type RoundGrant,
  type SegmentGrant,
  type ShardGrant,
  type UpdateGrant,
} from '../protocol/grant.js';
import type { Clock, NostrEvent, Relays } from '../ports.js';
import type { Bell } from './bell.js';

/** Wraps carry random timestamps up to two days in the past; older ones were read by an earlier run. */
const LOOK_BACK_SEC = 14 * 86_400;

export interface OpenedRumor {
  readonly kind: number;
  readonly content: string;
  readonly pubkey: Pubkey;
}
/** A grant with its sender and the exact content that its hash covers. */
export interface Received<G> {
  readonly from: Pubkey;
  readonly content: string;
  readonly grant: G;
}

/** Grants addressed to this key, opened as they arrive. Whether the sender may send them is the reader's question. */
export interface Inbox {
  shardGrants(job: EventId): readonly Received<ShardGrant>[];
  roundGrants(job: EventId): readonly Received<RoundGrant>[];
  /** To evaluation sets, for validators. */
  evalGrants(job: EventId): readonly Received<EvalGrant>[];
  /** To updates of trainers, for validators. */
  updateGrants(job: EventId): readonly Received<UpdateGrant>[];
  /** To states between segments that are disputed, from their trainers. */
  segmentGrants(job: EventId): readonly Received<SegmentGrant>[];
  /** Of any purpose. */
  grants<P extends Grant['purpose']>(job: EventId, purpose: P): readonly Received<Extract<Grant, { purpose: P }>>[];
  /** Bells to ring on a new grant. */
  watch(bell: Bell): () => void;
  close(): void;
}

/** A remote signer may be away, or wait for its owner's consent; what it did not open is opened later. */
const OPEN_AGAIN_MS = { 'bunker-unreachable': 5_000, 'bunker-refused': 60_000 } as const;

/** @param unwrap  opens a gift wrap and proves its author (NIP-59); what does not open is not for us and is ignored */
export function openInbox(
  relays: Relays,
  me: Pubkey,
  clock: Clock,
  unwrap: (wrap: NostrEvent) => Promise<OpenedRumor>,
): Inbox {
  const kept = new Map<string, Received<Grant>[]>();
  const grants = <P extends Grant['purpose']>(job: EventId, purpose: P) =>
    (kept.get(`${purpose}/${job}`) ?? []) as Received<Extract<Grant, { purpose: P }>>[];
  const bells = new Set<Bell>();
  const seen = new Set<string>();
  const closing = new AbortController();

  const read = async (wrap: NostrEvent): Promise<void> => {
    const rumor = await unwrap(wrap);
    const grant = parseGrant(rumor.kind, rumor.content);
    const received = { from: rumor.pubkey, content: rumor.content, grant };
    const key = `${grant.purpose}/${grant.job}`;
    kept.set(key, [...(kept.get(key) ?? []), received]);
    for (const bell of bells) bell.ring();
  };
  const readWhenPossible = async (wrap: NostrEvent): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        return await read(wrap);
      } catch (error) {
        const code = (['bunker-unreachable', 'bunker-refused'] as const).find((one) => isNmktError(error, one));
        if (code === undefined) return;
        await clock.wait(OPEN_AGAIN_MS[code], closing.signal);
      }
    }
  };
  const subscription = relays.subscribe(
    [{ kinds: [1059], '#p': [me], since: clock.nowSec() - LOOK_BACK_SEC }],
    (wrap) => {
      if (seen.has(wrap.id)) return;
      seen.add(wrap.id);
      void readWhenPossible(wrap);
    },
  );
  return {
    shardGrants: (job) => grants(job, 'shard'),
    roundGrants: (job) => grants(job, 'round'),
    evalGrants: (job) => grants(job, 'eval'),
    updateGrants: (job) => grants(job, 'update'),
    segmentGrants: (job) => grants(job, 'segment'),
    grants,
    watch(bell) {
      bells.add(bell);
      return () => bells.delete(bell);
    },
    close: () => {
      closing.abort();
      subscription.close();
    },
  };
}
