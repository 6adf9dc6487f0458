import { NmktError } from '../errors.js';
import type { JobState } from '../market/state.js';
import type { Relays } from '../ports.js';
import type { Context } from './command.js';

/** Where an audit reads: relays, relays that are recorded for --dump, or the file of --from-dump. */
export interface AuditSource {
  readonly relays: Relays;
  readonly isOffline: boolean;
  /** @throws NmktError `bad-usage` when a dump that was made without keys is to be opened with some */
  requireChunks(state: JobState): void;
  /** After the audit: ends the dump, if one is made. @throws NmktError `disk-full`, `bad-usage` */
  keep(state: JobState): Promise<void>;
}

/** @throws NmktError `bad-usage` for flags that contradict each other; what opening a dump throws */
export async function auditSource(context: Context, options: Readonly<Record<string, unknown>>): Promise<AuditSource> {
  const [to, from] = [options['dump'], options['fromDump']] as (string | undefined)[];
  if (from !== undefined) {
    refuseBeside(options);
    return offline(context, from);
  }
  const relays = await context.deps.relays();
  const none = { isOffline: false, requireChunks: () => undefined };
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
    requireChunks(state) {
      const isInFull = relays.chunks > 0 || state.rounds.every(({ open }) => open.content.base.chunks === 0);
      if (isInFull) return;
      throw new NmktError('bad-usage', `${file} was made without keys: it holds no chunks to open`, {
        expected: 'the chunks of the models and updates of this job',
        got: 'events only',
        remedy: `nmkt audit ${state.jobId} --dump ${file} --keys KEYS, or leave out --keys`,
      });
    },
    keep: async () => undefined,
  };
}

async function recorded(
  { deps, progress }: Context,
  relays: Relays,
  file: string,
): Promise<Pick<AuditSource, 'relays' | 'keep'>> {
  const recorder = await deps.recordDump(file, relays);
  return {
    relays: recorder.relays,
    async keep(state) {
      // The public level needs no dataset, but whoever gets the dump may have keys.
      const { events } = await recorder.relays.fetch([{ ids: [state.job!.content.dataset] }]);
      if (events.length === 0)
        progress.warn('no relay that answered has the dataset of this job: the dump goes without');
      const { events: kept, chunks } = await recorder.finish();
      progress.note(`wrote ${kept} events and ${chunks} chunks to ${file}`);
    },
  };
}
