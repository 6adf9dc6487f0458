import { NmktError } from '../errors.js';
import { askPassword } from '../terminal/ask-password.js';
import type { Context } from './command.js';

/** Less is guessed too fast, even through scrypt. */
const MIN_LENGTH = 8;

/**
 * The password that was given: a file of mode 0600, else NMKT_BACKUP_PASSWORD, else with --password a question.
 * @returns undefined when none was given
 * @throws NmktError `bad-usage` for one that is too short, or that cannot be asked for
 */
export async function givenPassword(
  { deps }: Context,
  options: Readonly<Record<string, unknown>>,
  isNew: boolean,
): Promise<string | undefined> {
  const file = options['passwordFile'];
  const environment = process.env['NMKT_BACKUP_PASSWORD'];
  const password =
    typeof file === 'string'
      ? await deps.readSecret(file, '--password-file')
      : environment !== undefined && environment !== ''
        ? environment
        : options['password'] === true
          ? await askPassword(isNew ? 'a password for the backup:' : 'the password of the backup:', isNew)
          : undefined;
  if (password !== undefined && isNew && password.length < MIN_LENGTH)
    throw new NmktError('bad-usage', 'the password is too short', {
      expected: `${MIN_LENGTH} characters or more`,
      got: `${password.length}`,
      remedy: 'choose some words instead',
    });
  return password;
}
