import { lstat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { formatPubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import { table } from '../terminal/table.js';
import { countedIn } from './backup-contents.js';
import { givenPassword } from './backup-password.js';
import type { CommandModule } from './command.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<file>', 'the backup to write, outside of the home')
      .option('--without-key', 'leave the private key out: restoring needs it then')
      .option('--password', 'ask for a password that opens the backup without the key')
      .option('--password-file <file>', 'file of mode 0600 with that password')
      .option('--force', 'overwrite FILE')
      .addHelpText(
        'before',
        '$ nmkt backup nmkt-home.bak --password\n$ nmkt backup c.bak --home c --without-key --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run([file], options, context) {
    const { deps, progress, signal } = context;
    const path = resolve(file!);
    const isForced = options['force'] === true;
    await requireFreePlace(path, deps.home().dir, isForced);
    const signer = await deps.signer({ create: false });
    if (signer === undefined) throw nothingToKeep(deps.home().dir);
    const password = await givenPassword(context, options, true);
    await deps.lockedHome();
    progress.start('writing the backup');
    const hasKey = options['withoutKey'] !== true;
    const { names, bytes, left } = await deps.writeBackup(path, {
      ...{ signer, password, hasKey, isForced, signal },
      onProgress: (done) => progress.update(`writing the backup: ${(done / 1e6).toFixed(1)} MB`),
    });
    progress.done(`${names.length} files, ${bytes} bytes`);
    for (const name of left) progress.warn(`${name} is not in the backup: it is no file that nmkt keeps`);
    if (password === undefined)
      progress.note(
        'only the key of this home opens the backup: keep the key elsewhere too, or add --password for the day it is lost',
      );
    const { jobs, datasets } = countedIn(names);
    return {
      value: {
        file: path,
        pubkey: signer.pubkey,
        files: names.length,
        bytes,
        jobs,
        datasets,
        hasKey,
        hasPassword: password !== undefined,
      },
      text: table([
        ['backup', path],
        ['of', formatPubkey(signer.pubkey)],
        ['holds', `${names.length} files, ${jobs} jobs, ${datasets} datasets, ${hasKey ? 'the key' : 'no key'}`],
        ['opens with', password === undefined ? 'the key' : 'the key or the password'],
      ]),
      next: `nmkt restore ${path} --home DIR, on the machine that goes on`,
    };
  },
};

const HELP = `
One file with everything that is needed to go on elsewhere: key, settings in force (wallet included), secrets of datasets and jobs, signed events,
payouts, and updates between commitment and reveal. It is sealed to the key of this home and, with a password, to that as well. A password comes
from --password-file, NMKT_BACKUP_PASSWORD or, with --password, a question.
The home must not be in use: a copy of a running trainer would be old at once. Everything may be stopped at any time; stop it, back up, start it.
Two homes with one key must never run at the same time. An old backup is safe to go on from as long as its relays answer.
With --json one document:
  file, bytes, files  the file, its size, and how many files of the home are in it
  pubkey              the owner; jobs, datasets: how many are in it
  hasKey, hasPassword whether the key is in it, and whether a password opens it`;

/** @throws NmktError `bad-usage` */
async function requireFreePlace(path: string, home: string, isForced: boolean): Promise<void> {
  const way = relative(home, path);
  if (way === '' || (way.split(sep)[0] !== '..' && !isAbsolute(way)))
    throw new NmktError('bad-usage', 'the backup may not lie in the home it is of', {
      expected: `a file outside of ${home}`,
      got: path,
      remedy: 'name another file',
    });
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unusable(path, error);
  });
  if (stat?.isDirectory() === true) throw unusable(path, new Error('a folder'));
  if (stat !== undefined && !isForced)
    throw new NmktError('bad-usage', `${path} is there already`, {
      expected: 'a new file',
      got: 'one that would be overwritten',
      remedy: 'name another file, or add --force',
    });
}

function unusable(path: string, cause: NodeJS.ErrnoException): NmktError {
  return new NmktError('bad-usage', `${path} cannot be written`, {
    expected: 'a file in a folder that is there',
    got: cause.code ?? cause.message,
    remedy: 'name another file',
    cause,
  });
}

function nothingToKeep(home: string): NmktError {
  return new NmktError('bad-usage', 'there is no key, so there is nothing to back up', {
    expected: `a home that was used, or its key by --key-file, --settings or NMKT_KEY`,
    got: `no key in ${home}`,
    remedy: 'name the home with --home DIR',
  });
}
