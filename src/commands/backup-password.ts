import { NmktError } from '../errors.js';
import type { Prompt } from '../ports.js';
import type { Context } from './command.js';

/** Less is guessed too fast, even through scrypt. */
const MIN_LENGTH = 8;

/**
 * The password that was given: a file of mode 0600, else NMKT_BACKUP_PASSWORD, else with --password a question.
 * @returns undefined when none was given
 * @throws NmktError `bad-usage` for one that is too short, or that cannot be asked for
 */
export async function givenPassword(
  { deps, prompt }: Context,
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
          ? await askPassword(prompt, 'backup', isNew)
          : undefined;
  if (password !== undefined && isNew) requireLongEnough(password);
  return password;
}

/** @throws NmktError `bad-usage` */
export function requireLongEnough(password: string): void {
  if (password.length < MIN_LENGTH)
    throw new NmktError('bad-usage', 'the password is too short', {
      expected: `${MIN_LENGTH} characters or more`,
      got: `${password.length}`,
      remedy: 'choose some words instead',
    });
}

/**
 * A password from the person at the terminal; a new one is typed twice, since nobody can look it up later.
 *
 * @param what  it opens
 * @throws NmktError `bad-usage` when there is nobody to ask, or the two differ
 */
export async function askPassword(prompt: Prompt, what: 'backup' | 'key', isNew: boolean): Promise<string> {
  const [flag, variable] =
    what === 'backup' ? ['--password-file', 'NMKT_BACKUP_PASSWORD'] : ['--key-password-file', 'NMKT_KEY_PASSWORD'];
  if (!prompt.canAsk)
    throw new NmktError('bad-usage', `a password of the ${what} is needed and there is no terminal to ask on`, {
      remedy: `name a file of mode 0600 with ${flag}, or set ${variable}`,
      expected: 'a password',
      got: 'no terminal',
    });
  const password = await prompt.secret(isNew ? `a new password for the ${what}:` : `the password of the ${what}:`);
  if (isNew && (await prompt.secret('once more:')) !== password)
    throw new NmktError('bad-usage', 'the two passwords differ', {
      remedy: 'run the command again',
      expected: 'the same password twice',
      got: 'two different ones',
    });
  return password;
}
