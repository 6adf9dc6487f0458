import { isNmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { EngineId } from '../learning/types.js';
import { disputes, type Dispute } from '../market/disputes.js';
import type { JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { Engine, Relays } from '../ports.js';
import { auditData } from './audit-data.js';
import type { AuditKeys, Finding } from './audit-format.js';
import { remeasure } from './audit-measure.js';
import { sheetsOf, WHY_CLOSED, whyNotRepeated } from './audit-repeat.js';
import { auditStanding, type StandingCheck } from './audit-standing.js';
import { whyRootsNotRepeated } from './audit-root.js';
import { fetchSnapshots, manifestOf } from './audit-pins.js';
import { auditPublic, type DecodeInvoice } from './audit-public.js';
import { auditWithKeys, type Measure } from './audit-with-keys.js';
import { describeValidators, type ValidatorDescription } from './describe-validators.js';
import type { JobBook } from './job-book.js';

export type { AuditKeys, Finding } from './audit-format.js';
export { encodeAuditKeys, parseAuditKeys } from './audit-format.js';
export type { DecodeInvoice } from './audit-public.js';

/** From signed events alone; with the keys to models and updates; with the data as well. */
export const AUDIT_LEVELS = ['public', 'keys', 'data'] as const;
export type AuditLevel = (typeof AUDIT_LEVELS)[number];

export interface AuditPorts {
  readonly book: Pick<JobBook, 'state' | 'raw'>;
  readonly relays: Relays;
  readonly decode: DecodeInvoice;
  readonly nowSec: number;
  /** Asked for when the public level holds. */
  keys?(state: JobState): Promise<AuditKeys | undefined>;
  /** Asked for when the data is at hand. @param like  what the scores were measured on, if any @throws `engine-unavailable` */
  engine?(like: EngineId | null): Promise<Engine>;
  readonly upTo?: AuditLevel;
  readonly signal?: AbortSignal;
  onProgress?(text: string): void;
}

export interface Audit {
  /** The highest level that was reached: the one at which it fails, when it fails. */
  readonly level: AuditLevel;
  /** Why no higher one; null at the highest, and when it fails. */
  readonly why: string | null;
  readonly found: Finding | null;
  readonly disputes: readonly Dispute[];
  /** What the scores were measured on again. */
  readonly engine: EngineId | null;
  /** Segments of training repeated again, or why not all are; null below the data level and in jobs without spot checks. */
  readonly repeated: { readonly segments: number; readonly why: string | null } | null;
  /** Root updates trained again, or why not all; null below the data level and in jobs without. */
  readonly roots: { readonly rounds: number; readonly why: string | null } | null;
  /** What the award counts of earlier jobs, counted again; null where it counts nothing, or the audit fails before. */
  readonly standing: StandingCheck | null;
  /** Who chose the winners: the rules that everybody recomputes, or the customer (`award` `manual`); null before the award. */
  readonly awardedBy: 'rules' | 'customer' | null;
  /** What its validators did; `contradicted`, by who measured again, is null below the data level. Null in jobs without. */
  readonly validators: readonly AuditedValidator[] | null;
}

export interface AuditedValidator extends ValidatorDescription {
  readonly contradicted: readonly { readonly round: number; readonly event: EventId; readonly detail: string }[] | null;
}

/** As far up as the keys allow, until the first event that does not follow. @throws what relays, keys and engine throw */
export async function auditJob(ports: AuditPorts): Promise<Audit> {
  const { book, relays, decode, nowSec, upTo = 'data' } = ports;
  const state = book.state();
  let standing: StandingCheck | null = null;
  const contradicted: { sheet: EventOf<'scores'>; detail: string }[] = [];
  const validators = (level: AuditLevel): Audit['validators'] =>
    state.job?.content.validators === undefined
      ? null
      : describeValidators(state).map((one) => ({
          ...one,
          contradicted:
            level !== 'data'
              ? null
              : contradicted
                  .filter(({ sheet }) => sheet.author === one.pubkey)
                  .map(({ sheet, detail }) => ({ round: sheet.content.round, event: sheet.id, detail })),
        }));
  const end = (
    level: AuditLevel,
    found: Finding | null,
    why: string | null = null,
    engine: EngineId | null = null,
    repeated: Audit['repeated'] = null,
    roots: Audit['roots'] = null,
  ) => ({
    ...{ level, found, why, engine, repeated, roots, standing, validators: validators(level) },
    awardedBy:
      state.award === null ? null : state.job?.content.award === 'manual' ? ('customer' as const) : ('rules' as const),
    disputes: disputes(state),
  });
  const snapshots = state.job === null ? new Map<EventId, never>() : await fetchSnapshots(relays, state.job);
  const open = auditPublic(state, { snapshots, decode, nowSec });
  if (open !== null) return end('public', open);
  const known = await auditStanding(state, relays);
  standing = known?.check ?? null;
  if (known !== null && known.found !== null) return end('public', known.found);
  const job = state.job!;
  if (upTo === 'public') return end('public', null, 'no higher one was asked for');
  const keys = await ports.keys?.(state);
  if (keys === undefined) return end('public', null, 'no audit keys, so models and updates stay closed');

  const manifest = manifestOf(job, snapshots, 'train');
  const raw = (id: EventId) => book.raw(id);
  const keyed = (measure?: Measure) =>
    auditWithKeys(state, { ...ports, keys, manifest, raw, ...(measure && { measure }) });
  const { data } = keys;
  if (upTo === 'keys' || data === undefined) {
    const why =
      upTo === 'keys' ? 'no higher one was asked for' : 'no key to the data, so scores are not measured again';
    const found = await keyed();
    return end('keys', found, found === null ? why : null);
  }
  const engine = await engineLike(state.rounds.flatMap(sheetsOf)[0]?.content.engine ?? null, ports);
  if (typeof engine === 'string') {
    const found = await keyed();
    return end('keys', found, found === null ? engine : null);
  }
  const examples = await auditData(state, { ...ports, keys: { ...keys, data }, snapshots });
  if ('rule' in examples) return end('data', examples, null, engine.id);
  let isMeasured = false;
  let segments = 0;
  let isAnyClosed = false;
  let rounds = 0;
  const { seed } = keys;
  const again = remeasure(data, {
    ...{ ...ports, state, engine, data: examples, seed },
    onRepeated: () => segments++,
    onClosed: () => (isAnyClosed = true),
    onRoot: () => rounds++,
    onContradicted: (sheet, detail) => contradicted.push({ sheet, detail }),
  });
  const found = await keyed(noting(again, () => (isMeasured = true)));
  const level = found === null || isMeasured ? 'data' : 'keys';
  const repeated =
    job.content.spot === null
      ? null
      : { segments, why: whyNotRepeated(state, engine.id) ?? (isAnyClosed ? WHY_CLOSED : null) };
  if (level !== 'data') return end(level, found, null, engine.id);
  const closed = state.rounds.filter(({ close }) => close?.content.root !== undefined).length;
  const why = rounds === closed ? null : whyRootsNotRepeated(state, engine.id);
  return end(level, found, null, engine.id, repeated, closed === 0 ? null : { rounds, why });
}

/** Or why there is none. @param like  what the scores were measured on */
export async function engineLike(like: EngineId | null, ports: Pick<AuditPorts, 'engine'>): Promise<Engine | string> {
  if (ports.engine === undefined) return 'no engine to measure with';
  try {
    return await ports.engine(like);
  } catch (error) {
    if (isNmktError(error, 'engine-unavailable')) return `no engine loads here (${error.got ?? error.message})`;
    throw error;
  }
}

/** Tells when it is a measurement that fails, and not an opening. */
function noting(measure: Measure, onFound: () => void): Measure {
  const note = (found: Finding | null): Finding | null => {
    if (found !== null) onFound();
    return found;
  };
  return {
    round: async (...args) => note(await measure.round(...args)),
    artifact: async (...args) => note(await measure.artifact(...args)),
  };
}
