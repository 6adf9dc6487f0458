import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { JOB } from '../protocol/job.js';
import {
  beginDeletion,
  finishDeletion,
  requireUnused,
  type DeletePorts,
  type RelayDeletion,
} from '../roles/delete-dataset.js';
import type { DeletedDataset } from '../roles/deleted-dataset.js';
import { jobsOn } from '../roles/forget-keys.js';
import type { SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { withSnapshots } from '../roles/plan-deletion.js';
import type { DatasetRecord, PublishPorts } from '../roles/publish.js';
import { relaysOfUpload } from '../roles/sent-chunks.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { customerPorts } from './customer-ports.js';
import { ownDataset, ownDeletedDataset } from './own-dataset.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<dataset>', 'naddr, nevent or snapshot id that publish-dataset printed')
      .option('--snapshots', 'delete the descriptions that jobs pin too: nobody can audit those jobs any more')
      .option('--force', 'delete it although a job that is not over needs it')
      .addHelpText('before', '$ nmkt delete-dataset naddr1...\n$ nmkt delete-dataset naddr1... --yes --json\n')
      .addHelpText('after', HELP);
  },

  async run([dataset], options, context) {
    const { progress } = context;
    const ports = await customerPorts(context);
    const earlier = await ownDeletedDataset(ports, dataset!);
    const record = earlier === undefined ? await ownDataset(ports, dataset!) : undefined;
    const author = earlier?.author ?? record!.train.event.pubkey;
    if (author !== ports.signer.pubkey) throw notYours(author);
    const wide = await deletePorts(context, ports, await relaysOf(ports, earlier, record));
    if (record !== undefined) {
      await requireUnused(record, options['force'] === true, wide);
      await confirm(context, options, record, wide.relays.urls);
    }
    progress.start('deleting');
    if (earlier !== undefined) progress.note('its deletion began before: the same requests are sent');
    const begun = earlier ?? (await beginDeletion(record!, wide));
    const deleted = options['snapshots'] === true ? await withSnapshots(begun, wide) : begun;
    if (deleted.manifests.length < 4)
      progress.note(
        'the snapshots stay, for audits of the jobs that pin them: they hold no rows (--snapshots: those too)',
      );
    const relays = await finishDeletion(deleted, wide);
    progress.done(
      `the keys are destroyed; ${relays.filter(isGone).length} of ${relays.length} relays give nothing back`,
    );
    return report(deleted, relays, dataset!);
  },
};

const HELP = `
Destroys the keys of the dataset in this home, also in what its jobs copied, and asks every relay to delete: all chunks by NIP-09 and
NIP-62 under the keys that signed them, the listing, the sealed backups and the snapshots that no job pins under yours. Deletion on Nostr is a
request: each relay is then asked over a new connection for 20 chunks, drawn once, and what it still gives is said. Without the keys its
chunks are noise.
Out of reach: what trainers were granted, audit-data.json, files of nmkt backup, other homes of the same key, freed blocks of the disk.
A dataset that an unfinished job needs is kept (status 5), unless --force. Killed at any moment, the same command goes on; after it is done
it asks once more and changes nothing. Published again, the same file becomes a new dataset with new keys.
Exit status: 0 when no relay gives anything back, 7 when some do or are silent, 3 when all are silent.
With --json one document:
  snapshot, chunks   of the dataset; asked: chunks that each relay was asked for
  jobs               of this home whose copy of the keys is destroyed too
  manifests          signed descriptions that are to go: 1 where jobs pin the snapshots, else 4
  relays             [{relay, sent, taken, message, before, after, manifests}]: requests sent and taken now, its last words that were
                     no yes, chunks it gave before and now, manifests it gives now; null for a relay that does not answer`;

/** Where it may be: relays of the settings, of its upload, of its jobs, and of a deletion that began. */
async function relaysOf(
  ports: PublishPorts,
  earlier: DeletedDataset | undefined,
  record: DatasetRecord | undefined,
): Promise<readonly string[]> {
  const own = record === undefined ? [] : await relaysOfUpload(ports, record.request);
  const jobs = record === undefined ? [] : await jobsOn(ports.files, record.train.event.id);
  const past = earlier?.relays.map(({ relay }) => relay) ?? [];
  return [
    ...new Set([
      ...ports.relays.urls,
      ...own,
      ...past,
      ...jobs.flatMap(({ event }) => JOB.parse(event).content.relays),
    ]),
  ];
}

async function deletePorts({ deps }: Context, ports: PublishPorts, urls: readonly string[]): Promise<DeletePorts> {
  return {
    ...ports,
    relays: await deps.relays(urls),
    reader: () => deps.connectRelays(urls),
    limitsOf: async (relay) => (await deps.relayInformation(relay)).information,
    async ownEvents(job: EventId) {
      const journal = await deps.openJournal<SignedRecord>(deps.home().path(eventsFile(job)));
      const records = await journal.read();
      await journal.close();
      return records.map(({ event }) => event);
    },
  };
}

/** @throws NmktError `bad-usage` without a yes */
async function confirm(
  { prompt }: Context,
  options: Readonly<Record<string, unknown>>,
  { examples, chunks }: DatasetRecord,
  relays: readonly string[],
): Promise<void> {
  if (options['yes'] === true) return;
  const what = `${examples} examples, ${chunks} chunks, ${relays.length === 1 ? 'one relay' : `${relays.length} relays`}`;
  if (prompt.canAsk && (await prompt.confirm(`delete this dataset (${what}) and destroy its keys for good?`))) return;
  throw new NmktError('bad-usage', 'a deleted dataset cannot be brought back, and nobody confirmed it', {
    expected: 'a yes at the terminal, or --yes',
    got: prompt.canAsk ? 'no yes' : 'nobody to ask',
    remedy: 'add --yes',
  });
}

function notYours(author: string): NmktError {
  return new NmktError('not-your-job', 'only the key that published the dataset may delete it', {
    expected: `the key and home of ${author}`,
    got: 'another key',
    remedy: 'run it with --home and --settings of the customer',
  });
}

const isGone = ({ after, manifests }: RelayDeletion): boolean => after === 0 && manifests === 0;

function report(
  { snapshot, chunks, sample, jobs, manifests }: DeletedDataset,
  relays: readonly RelayDeletion[],
  reference: string,
): Outcome {
  const asked = sample.length;
  const exit = relays.every(isGone) ? 0 : relays.every(({ after }) => after === null) ? 3 : 7;
  const given = (count: number | null) => (count === null ? 'no answer' : `${count} of ${asked}`);
  const rows = relays.map((one) => [
    one.relay,
    given(one.before),
    given(one.after),
    one.manifests === null ? '' : `${one.manifests} of ${manifests.length}`,
    one.sent === 0
      ? 'nothing left to ask'
      : `${one.taken} of ${one.sent}${one.message === '' ? '' : `: ${one.message}`}`,
  ]);
  return {
    value: { snapshot, chunks, asked, manifests: manifests.length, jobs, relays },
    text: table([['relay', 'chunks before', 'chunks now', 'manifests now', 'requests taken'], ...rows]),
    ...(exit === 0 ? {} : { exit, next: `nmkt delete-dataset ${reference}: asks again what is left` }),
  };
}
