import { resolve } from 'node:path';
import type { Backup } from '../backup/read.js';
import { formatPubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { Bytes } from '../hash.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import { countedIn } from './backup-contents.js';
import { askPassword, givenPassword } from './backup-password.js';
import type { CommandModule, Context } from './command.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<file>', 'what nmkt backup wrote')
      .option('--password', 'ask for the password of the backup')
      .option('--password-file <file>', 'file of mode 0600 with the password of the backup')
      .option('--force', 'replace what differs in the home; it is kept in HOME/replaced')
      .addHelpText('before', '$ nmkt restore nmkt-home.bak --home c2\n$ nmkt restore c.bak --key-file key.txt --json\n')
      .addHelpText('after', HELP);
  },

  async run([file], options, context) {
    const { deps, progress, signal } = context;
    const backup = await deps.openBackup(resolve(file!));
    const contentKey = await unlock(backup, options, context);
    const home = await deps.lockedHome();
    progress.start('restoring');
    const { pubkey, createdAt, names, placed, replaced, aside } = await deps.restoreBackup(backup, contentKey, {
      isForced: options['force'] === true,
      signal,
    });
    progress.done(placed === 0 ? 'the home holds all of it already' : `${placed} of ${names.length} files restored`);
    if (replaced.length > 0) progress.note(`what was replaced lies in ${home.path(aside)}`);
    const hasKey = names.includes('key');
    if (!hasKey) progress.note(`the key of ${formatPubkey(pubkey)} is not in it: give it with --key-file or NMKT_KEY`);
    if (placed > 0)
      progress.warn(
        'never run this home and the one it was copied from at the same time: two events with one number are a fork',
      );
    const { jobs, datasets } = countedIn(names);
    return {
      value: {
        home: home.dir,
        pubkey,
        createdAt,
        files: names.length,
        restored: placed,
        replaced: replaced.length,
        jobs,
        datasets,
        hasKey,
      },
      text: table([
        ['home', home.dir],
        ['of', formatPubkey(pubkey)],
        ['as of', utc(createdAt)],
        ['holds', `${names.length} files, ${jobs} jobs, ${datasets} datasets`],
      ]),
      next: 'nmkt status, then what ran before: nmkt collect-model JOB --out DIR, or nmkt serve-trainer --price SATS',
    };
  },
};

const HELP = `
Opens the backup with a password that was given, else with the key in use (--key-file, --settings, NMKT_KEY, home), else it asks. The home may be
absent, empty, the same, or further than the backup: then nothing is lost. Run twice, it does nothing the second time.
After an old backup every relay in use has to answer before something is signed, and a payment is looked up before it is made: what the other
machine did since then is found, and neither signed nor paid again. Relays that are gone for good have to be left out by name.
With --json one document:
  home, pubkey        the folder, and whose it is; createdAt: when the backup was made (Unix seconds)
  files, restored     in the backup, and of them new to the home; replaced: with --force
  jobs, datasets      how many it knows; hasKey: whether the key was in it`;

async function unlock(backup: Backup, options: Readonly<Record<string, unknown>>, context: Context): Promise<Bytes> {
  const password = await givenPassword(context, options, false);
  if (password !== undefined) return backup.unlockWithPassword(password);
  const signer = await context.deps.signer({ create: false, connect: true });
  const { pubkey, locks } = backup.header;
  const hasPassword = locks.some(({ type }) => type === 'scrypt');
  if (signer !== undefined && (signer.pubkey === pubkey || !hasPassword)) return backup.unlockWithKey(signer);
  if (hasPassword && context.prompt.canAsk)
    return backup.unlockWithPassword(await askPassword(context.prompt, 'backup', false));
  throw new NmktError('wrong-key', `nothing at hand opens this backup of ${formatPubkey(pubkey)}`, {
    expected: hasPassword ? 'its key, or its password' : 'its key: it was made without a password',
    got: signer === undefined ? 'no key and no password' : 'another key and no password',
    remedy: `--key-file FILE${hasPassword ? ', or --password-file FILE' : ''}`,
  });
}
