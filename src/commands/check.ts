import { checkDataset, type DatasetCheck, type RelayCheck } from '../roles/check-dataset.js';
import { noteRelays } from '../roles/relay-scores.js';
import { forgetStored } from '../roles/sent-chunks.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Outcome } from './command.js';
import { customerPorts } from './customer-ports.js';
import { ownDataset } from './own-dataset.js';

/** Named per relay; the rest is in the JSON. */
const MAX_SHOWN = 5;

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<dataset>', 'naddr, nevent or snapshot id that publish-dataset printed')
      .option('--deep', 'ask every relay for every chunk, not for 20 of them')
      .addHelpText('before', '$ nmkt check naddr1...\n$ nmkt check naddr1... --deep --json\n')
      .addHelpText('after', HELP);
  },

  async run([dataset], options, context) {
    const ports = await customerPorts(context);
    const record = await ownDataset(ports, dataset!);
    context.progress.start('connecting');
    const relays = await ports.reader();
    try {
      const check = await checkDataset(record, options['deep'] === true, {
        ...{ ...ports, relays },
        storedIds: (relay, ids) => context.deps.storedIds(relay, ids, context.signal),
      });
      for (const { relay, missing } of check.relays)
        if (missing.length > 0) await forgetStored(ports, record.request, relay);
      const seen = check.relays.map(({ relay, asked, found, missing }) => {
        return { relay, kept: found ?? 0, failed: found === null ? asked : 0, lost: missing.length };
      });
      await noteRelays(ports.files, seen, ports.clock.nowSec(), context.progress);
      context.progress.done(`asked ${check.relays.length} relays for ${check.checked} of ${check.chunks} chunks each`);
      return report(check);
    } finally {
      await relays.close();
    }
  },
};

const HELP = `
Looks at a dataset of this home as a trainer would: over new connections, without a login. Of each chunk the id, the leaf and the
encryption are checked; without --deep 20 chunks, drawn anew each time, are asked of each relay: one that lost a tenth of them is
found with 88 %. A relay that speaks NIP-77 also says, at 130 bytes a chunk, which of all it has; what one says to lack is asked of all.
Exit status: 0 when every relay gives everything that was asked for, 7 when some do not and each chunk is somewhere, 3 when a chunk
was found nowhere. A second run of publish-dataset sends everything to a relay that lacked something.
With --json one document: chunks, checked, relays [{relay, asked, present, found, missing, manifests}] (asked: of the checked
those that it should hold, all unless the dataset was published with --copies; present:
of all chunks by the relay's own word, null where it does not say; found and manifests null for a relay that does
not answer; manifests of 4), lost: chunks that no relay gave.`;

function report(check: DatasetCheck): Outcome {
  const { relays, chunks, lost } = check;
  const isWhole = ({ asked, found, manifests, missing }: RelayCheck) =>
    found === asked && manifests === 4 && missing.length === 0;
  const exit = lost.length > 0 || relays.every(({ found }) => found === null) ? 3 : relays.every(isWhole) ? 0 : 7;
  const rows = relays.map((one) => [
    one.relay,
    one.present === null ? '' : `${one.present} of ${chunks}`,
    one.found === null ? 'no answer' : `${one.found} of ${one.asked}`,
    one.manifests === null ? '' : `${one.manifests} of 4`,
    shown(one.missing),
  ]);
  return {
    value: check,
    text: table([['relay', 'says to have', 'gave', 'manifests', 'missing'], ...rows]),
    ...(exit === 0
      ? {}
      : { exit, next: 'nmkt publish-dataset FILE with the same flags as before: sends it again to who lacks it' }),
  };
}

function shown(names: readonly string[]): string {
  const more = names.length > MAX_SHOWN ? `, and ${names.length - MAX_SHOWN} more` : '';
  return names.slice(0, MAX_SHOWN).join('; ') + more;
}
