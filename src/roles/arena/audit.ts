import type { EventId } from '../../hash.js';
import type { EngineId } from '../../learning/types.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import type { ArenaState } from '../../market/arena/state.js';
import type { Engine, Relays } from '../../ports.js';
import { engineLike, type AuditLevel } from '../audit.js';
import type { Finding } from '../audit-format.js';
import { fetchSnapshots } from '../audit-pins.js';
import type { DecodeInvoice } from '../audit-public.js';
import type { JobBook } from '../job-book.js';
import type { ArenaAuditKeys } from './audit-keys.js';
import { arenaNotices, auditArenaPublic, type ArenaNotice } from './audit-public.js';
import type { Contradicted } from './audit-scores.js';
import { auditStages } from './audit-with-keys.js';

export interface ArenaAuditPorts {
  readonly book: Pick<JobBook<FoldedArena>, 'state'>;
  readonly relays: Relays;
  readonly decode: DecodeInvoice;
  readonly nowSec: number;
  /** Asked for when the public level holds. */
  keys?(state: ArenaState): Promise<ArenaAuditKeys | undefined>;
  /** Asked for when the sets are at hand. @param like  what the scores were measured on, if any @throws `engine-unavailable` */
  engine?(like: EngineId | null): Promise<Engine>;
  readonly upTo?: AuditLevel;
  readonly signal?: AbortSignal;
  onProgress?(text: string): void;
}

export interface ArenaAudit {
  /** As of a federated job: data means that the sets were opened and every score measured again. */
  readonly level: AuditLevel;
  readonly why: string | null;
  readonly found: Finding | null;
  /** What the scores were measured on again. */
  readonly engine: EngineId | null;
  /** Null below the data level. */
  readonly contradicted: readonly Contradicted[] | null;
  readonly notices: readonly ArenaNotice[];
}

/** As far up as the keys allow, until the first event that does not follow. @throws what relays, keys and engine throw */
export async function auditArenaJob(ports: ArenaAuditPorts): Promise<ArenaAudit> {
  const { book, relays, decode, nowSec, upTo = 'data' } = ports;
  const folded = book.state();
  const end = (level: AuditLevel, rest: Partial<ArenaAudit>): ArenaAudit => ({
    ...{ level, why: null, found: null, engine: null, contradicted: null, notices: arenaNotices(folded), ...rest },
  });
  const snapshots = folded.job === null ? new Map<EventId, never>() : await fetchSnapshots(relays, folded.job);
  const found = auditArenaPublic(folded, { snapshots, decode, nowSec });
  if (found !== null) return end('public', { found });
  const state = folded.state!;
  if (upTo === 'public') return end('public', { why: 'no higher one was asked for' });
  const keys = await ports.keys?.(state);
  if (keys === undefined) return end('public', { why: 'no audit keys, so models and sets stay closed' });
  const { data } = keys;
  const why =
    upTo === 'keys'
      ? 'no higher one was asked for'
      : data === undefined
        ? 'no key to the evaluation sets, so scores are not measured again'
        : null;
  const sheets = state.stages.flatMap(({ rounds }) => rounds.flatMap(({ reveals }) => [...reveals.values()]));
  const engine = why === null ? await engineLike(sheets[0]?.content.engine ?? null, ports) : null;
  const isMeasuring = engine !== null && typeof engine !== 'string';
  const audited = await auditStages(state, {
    ...{ ...ports, keys, snapshots },
    measuring: isMeasuring ? { engine, data: data! } : null,
  });
  const notices = arenaNotices(folded).map((notice) =>
    audited.openNow.has(notice.submission) ? { ...notice, detail: `${notice.detail}; it opens now` } : notice,
  );
  const isOfData = isMeasuring && (audited.found === null || audited.isMeasured);
  return end(isOfData ? 'data' : 'keys', {
    ...{ found: audited.found, notices, engine: isMeasuring ? engine.id : null },
    why: audited.found !== null ? null : typeof engine === 'string' ? engine : why,
    contradicted: isOfData ? audited.contradicted : null,
  });
}
