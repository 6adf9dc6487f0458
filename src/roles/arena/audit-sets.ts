import type { EventId } from '../../hash.js';
import type { DataSchema, Examples } from '../../learning/types.js';
import type { EventOf } from '../../protocol/events.js';
import type { NostrEvent, Relays } from '../../ports.js';
import { locate } from '../audit-data.js';
import type { Finding } from '../audit-format.js';
import { manifestOf } from '../audit-pins.js';
import { opened } from '../audit-with-keys.js';
import { dataCommitment, locatedIn, openShard } from '../epoch.js';
import type { ArenaAuditKeys } from './audit-keys.js';

export interface OpenedSet {
  readonly schema: DataSchema;
  readonly examples: Examples;
}

/** The evaluation set of a stage, opened by an auditor: it is the one that the job committed to, with the rows that its snapshot says. */
export async function openSetAgain(
  job: EventOf<'arena-job'>,
  stage: number,
  ports: {
    readonly relays: Relays;
    readonly data: NonNullable<ArenaAuditKeys['data']>;
    readonly snapshots: ReadonlyMap<EventId, NostrEvent>;
    readonly signal?: AbortSignal;
  },
): Promise<OpenedSet | Finding> {
  const part = stage === 0 ? 'a' : 'b';
  const set = stage === 0 ? job.content.evalA : job.content.evalB;
  const keys = ports.data[part];
  const manifest = manifestOf(job, ports.snapshots, part);
  const locator = locate(set.snapshot, manifest, keys);
  if ('rule' in locator) return locator;
  const due = dataCommitment(keys.salt, locator.shards[0]!.sha256);
  if (due !== set.commitment) {
    const detail = `set ${part.toUpperCase()} opens to ${due}, the job committed to ${set.commitment}`;
    return { event: job.id, rule: 'evaluation-set', detail };
  }
  const options = ports.signal === undefined ? {} : { signal: ports.signal };
  const examples = await opened(set.snapshot, () =>
    openShard(ports.relays, manifest, locatedIn(locator, 0), 0, keys.shards[0]!, options),
  );
  if ('rule' in examples) return examples;
  if (examples.rows === set.rows) return { schema: manifest.schema, examples };
  return { event: set.snapshot, rule: 'rows', detail: `it holds ${examples.rows} examples, it says ${set.rows}` };
}
