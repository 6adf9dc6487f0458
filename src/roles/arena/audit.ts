import type { EventId } from '../../hash.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import type { Relays } from '../../ports.js';
import type { AuditLevel } from '../audit.js';
import type { Finding } from '../audit-format.js';
import { fetchSnapshots } from '../audit-pins.js';
import type { DecodeInvoice } from '../audit-public.js';
import type { JobBook } from '../job-book.js';
import { auditArenaPublic } from './audit-public.js';

export interface ArenaAuditPorts {
  readonly book: Pick<JobBook<FoldedArena>, 'state'>;
  readonly relays: Relays;
  readonly decode: DecodeInvoice;
  readonly nowSec: number;
  readonly upTo?: AuditLevel;
}

export interface ArenaAudit {
  /** As of a federated job. */
  readonly level: AuditLevel;
  readonly why: string | null;
  readonly found: Finding | null;
}

/** As far up as the keys allow, until the first event that does not follow. @throws what relays throw */
export async function auditArenaJob({ book, relays, decode, nowSec, upTo }: ArenaAuditPorts): Promise<ArenaAudit> {
  const folded = book.state();
  const snapshots = folded.job === null ? new Map<EventId, never>() : await fetchSnapshots(relays, folded.job);
  const found = auditArenaPublic(folded, { snapshots, decode, nowSec });
  const why = upTo === 'public' ? 'no higher one was asked for' : 'no audit keys, so models and sets stay closed';
  return { level: 'public', why: found === null ? why : null, found };
}
