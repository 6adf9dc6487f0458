import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { JobState } from '../market/state.js';
import type { Relays } from '../ports.js';
import type { AuditLevel, Finding } from '../roles/audit.js';
import type { JobBook } from '../roles/job-book.js';
import type { Context } from './command.js';

/** Where an audit reads: relays, relays that are recorded for --dump, or the file of --from-dump. */
export interface AuditSource {
  readonly relays: Relays;
  readonly isOffline: boolean;
  /** @throws NmktError `bad-usage` when a dump is to be opened with keys that it was made without */
  requireChunks(needed: NeededChunks, upTo: AuditLevel): Promise<void>;
  /** After the audit: ends the dump, if one is made, with these. @throws NmktError `disk-full`, `bad-usage` */
  keep(snapshots: readonly EventId[]): Promise<void>;
}

/** Of its dataset and evaluation sets. */
export function snapshotsOf({ content }: Pinning): readonly EventId[] {
  return [content.dataset, content.evalA.snapshot, content.evalB.snapshot];
}

/** What a job that is opened with keys takes of chunks. */
export interface NeededChunks {
  readonly job: EventId;
  /** Are there models that travelled as chunks? */
  readonly models: boolean;
  /** Of a part of its data that is opened; absent: without a key to it. */
  readonly locator?: string | undefined;
}

interface Pinning {
  readonly content: Pick<NonNullable<JobState['job']>['content'], 'dataset' | 'evalA' | 'evalB'>;
}

/** @throws NmktError `bad-usage` for flags that contradict each other; what opening a dump throws */
export async function auditSource(context: Context, options: Readonly<Record<string, unknown>>): Promise<AuditSource> {
  const [to, from] = [options['dump'], options['fromDump']] as (string | undefined)[];
  if (from !== undefined) {
    refuseBeside(options);
    return offline(context, from);
  }
  const relays = await context.deps.relays();
  const none = { isOffline: false, requireChunks: async () => undefined };
  return to === undefined
    ? { ...none, relays, keep: async () => undefined }
    : { ...none, ...(await recorded(context, relays, to)) };
}

function refuseBeside(options: Readonly<Record<string, unknown>>): void {
  const other = ['dump', 'relay'].find((name) => options[name] !== undefined);
  if (other === undefined) return;
  throw new NmktError('bad-usage', `--${other} and --from-dump exclude each other`, {
    expected: '--from-dump alone: no relay is asked',
    got: `--from-dump and --${other}`,
    remedy: `leave out --${other}`,
  });
}

async function offline({ deps }: Context, file: string): Promise<AuditSource> {
  const relays = await deps.openDump(file);
  return {
    relays,
    isOffline: true,
    async requireChunks({ job, models, locator }, upTo) {
      if (upTo === 'public') return;
      const lacks = (what: string, expected: string, level: string) =>
        new NmktError('bad-usage', `${file} was made without ${what}`, {
          expected: `the chunks of ${expected} of this job`,
          got: relays.chunks === 0 ? 'events only' : 'other chunks',
          remedy: `nmkt audit ${job} --dump ${file} --keys KEYS, or --level ${level}`,
        });
      if (relays.chunks === 0 && models)
        throw lacks('keys: it holds no chunks to open', 'the models and updates', 'public');
      if (upTo === 'keys' || locator === undefined) return;
      const { events } = await relays.fetch([{ ids: idsIn(locator) }]);
      if (events.length === 0) throw lacks('keys to the data: it holds none of its chunks', 'the data', 'keys');
    },
    keep: async () => undefined,
  };
}

/** Of the chunks that a locator names; what else is wrong with it, the audit says. */
function idsIn(locator: string): readonly string[] {
  const ids = locator.match(/(?<=")[0-9a-f]{64}(?=")/g) ?? [];
  return ids.slice(0, 10_000);
}

async function recorded(
  { deps, progress }: Context,
  relays: Relays,
  file: string,
): Promise<Pick<AuditSource, 'relays' | 'keep'>> {
  const recorder = await deps.recordDump(file, relays);
  return {
    relays: recorder.relays,
    async keep(ids) {
      // An audit that fails before it needs them: whoever gets the dump may look further.
      const { events } = ids.length === 0 ? { events: [] } : await recorder.relays.fetch([{ ids }]);
      if (events.length < new Set(ids).size)
        progress.warn('no relay that answered has every dataset of this job: the dump goes without');
      const { events: kept, chunks } = await recorder.finish();
      progress.note(`wrote ${kept} events and ${chunks} chunks to ${file}`);
    },
  };
}

/** What is missing while a relay is silent may lie there: no verdict. @throws NmktError `relay-unreachable` */
export async function requireAllAnswers(
  book: Pick<JobBook, 'refresh'>,
  urls: readonly string[],
  found: Finding,
): Promise<void> {
  const answered = await book.refresh();
  const silent = urls.filter((url) => !answered.includes(url));
  if (silent.length === 0) return;
  throw new NmktError('relay-unreachable', 'a part of the job is missing, and not every relay answered', {
    expected: `answers from all of ${urls.join(', ')}`,
    got: `silence from ${silent.join(', ')}; ${found.detail} (event ${found.event})`,
    remedy: 'run it again later, or leave that relay out with --relay',
  });
}
