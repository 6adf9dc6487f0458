import type { NostrEvent } from '../ports.js';
import { ALLIANCE_JOB } from './alliance/job.js';
import { PROPOSAL } from './alliance/proposal.js';
import { ALLIANCE_OPEN, ALLIANCE_SETTLEMENT, ROLES_DRAW } from './alliance/round.js';
import { VOTE } from './alliance/vote.js';
import { ALIAS_ROOT, ALIAS_TABLE } from './arena/alias.js';
import { ARENA_JOB } from './arena/job.js';
import { ARENA_SETTLEMENT, RANKING } from './arena/ranking.js';
import { ARENA_SCORES } from './arena/scores.js';
import { ARENA_LIST, ARENA_SEEN, ENTER, SUBMIT } from './arena/submission.js';
import { ARTIFACT } from './artifact.js';
import { AWARD, CANCEL, REPLACE } from './award.js';
import { BID, WITHDRAWN } from './bid.js';
import { CLAIM, CLAIM_BAD, CLAIM_VOID } from './claim.js';
import { DISPUTE, DISPUTE_DRAW, DISPUTE_NONCE, VERDICT } from './dispute.js';
import { badEvent, checkEnvelope, tagValue, type EventType } from './envelope.js';
import { JOB } from './job.js';
import { KINDS } from './kinds.js';
import {
  COMPLAINT,
  FRAUD,
  GRANT_BAD,
  KEY_FRAUD,
  READY,
  RECEIPT,
  RECEIVED,
  RESIGN,
  UNPAID,
  VALIDATOR_FRAUD,
} from './notice.js';
import { CLOSE, DRAW, LIST, OPEN, SEEN, SOLD, VOID } from './round.js';
import { joined, partsOf } from './parts.js';
import { SCORES } from './score.js';
import { SEALED_BID } from './sealed-bid.js';
import { SETTLEMENT } from './settlement.js';
import { DELEGATE, SLASH, STAKE, STAKE_TABLE, WITHDRAW } from './stake.js';
import { COMMIT, REVEAL } from './submission.js';
import { NONCE, REGISTER, SCORE_COMMIT } from './validator.js';

/** Every event that stands in an author's chain. Those of an arena have phases of their own, from `arena-job` on, and those of an alliance. */
export const EVENT_TYPES = {
  job: JOB,
  bid: BID,
  'sealed-bid': SEALED_BID,
  withdrawn: WITHDRAWN,
  award: AWARD,
  replace: REPLACE,
  cancel: CANCEL,
  ready: READY,
  'grant-bad': GRANT_BAD,
  resign: RESIGN,
  open: OPEN,
  seen: SEEN,
  list: LIST,
  draw: DRAW,
  close: CLOSE,
  sold: SOLD,
  void: VOID,
  commit: COMMIT,
  reveal: REVEAL,
  register: REGISTER,
  nonce: NONCE,
  'score-commit': SCORE_COMMIT,
  scores: SCORES,
  settlement: SETTLEMENT,
  claim: CLAIM,
  'claim-void': CLAIM_VOID,
  receipt: RECEIPT,
  received: RECEIVED,
  unpaid: UNPAID,
  fraud: FRAUD,
  complaint: COMPLAINT,
  'validator-fraud': VALIDATOR_FRAUD,
  'key-fraud': KEY_FRAUD,
  dispute: DISPUTE,
  'dispute-nonce': DISPUTE_NONCE,
  'dispute-draw': DISPUTE_DRAW,
  verdict: VERDICT,
  'claim-bad': CLAIM_BAD,
  artifact: ARTIFACT,
  stake: STAKE,
  delegate: DELEGATE,
  withdraw: WITHDRAW,
  slash: SLASH,
  'stake-table': STAKE_TABLE,
  'arena-job': ARENA_JOB,
  enter: ENTER,
  submit: SUBMIT,
  'arena-seen': ARENA_SEEN,
  'arena-list': ARENA_LIST,
  'alias-root': ALIAS_ROOT,
  'alias-table': ALIAS_TABLE,
  'arena-scores': ARENA_SCORES,
  ranking: RANKING,
  'arena-settlement': ARENA_SETTLEMENT,
  'alliance-job': ALLIANCE_JOB,
  'alliance-open': ALLIANCE_OPEN,
  roles: ROLES_DRAW,
  proposal: PROPOSAL,
  vote: VOTE,
  'alliance-settlement': ALLIANCE_SETTLEMENT,
} as const;

type Types = typeof EVENT_TYPES;
export type EventName = keyof Types;
export type EventOf<K extends EventName> = ReturnType<Types[K]['parse']>;
export type ContentOf<K extends EventName> = EventOf<K>['content'];
/** Any parsed event of a job; discriminated by `type`. */
export type JobEvent = { [K in EventName]: EventOf<K> }[EventName];

const byKindAndPhase = new Map(Object.values(EVENT_TYPES).map((type) => [`${type.kind}/${type.phase ?? ''}`, type]));

function typeOf(event: NostrEvent): EventType<string, unknown> {
  const phase = tagValue(event, 'phase') ?? '';
  const type = byKindAndPhase.get(`${event.kind}/${phase}`) as EventType<string, unknown> | undefined;
  if (type !== undefined) return type;
  checkEnvelope(event, event.kind); // another version may have other phases: that is the better answer
  throw badEvent(event, 'a kind and phase of nmkt/1', `phase ${phase || 'none'}`);
}

/** By kind and phase alone. @throws NmktError `bad-event` or `unsupported-version` */
export function nameOf(event: NostrEvent): EventName {
  return typeOf(event).type as EventName;
}

/**
 * @param whole  the content that its parts make, where it came in parts
 * @throws NmktError `bad-event` or `unsupported-version`
 */
export function parseJobEvent(event: NostrEvent, whole?: string): JobEvent {
  return typeOf(event).parse(event, whole) as JobEvent;
}

/** Of events as they come, with their parts among them. @param onBad  told what is not valid or not whole; by default it counts for nothing */
export function parseJobEvents(
  events: Iterable<NostrEvent>,
  onBad: (event: NostrEvent, error: unknown) => void = () => undefined,
): JobEvent[] {
  const all = [...events];
  const parts = new Map(all.filter(({ kind }) => kind === KINDS.part).map((event) => [event.id, event]));
  return all.flatMap((event) => {
    if (event.kind === KINDS.part) return [];
    try {
      if (partsOf(event) === null) return [parseJobEvent(event)];
      const whole = joined(event, (id) => parts.get(id));
      return whole === null ? [] : [parseJobEvent(event, whole)];
    } catch (error) {
      onBad(event, error);
      return [];
    }
  });
}
