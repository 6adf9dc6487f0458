import { NmktError } from '../errors.js';

/**
 * A password from the person at the terminal, not shown.
 *
 * @param isNew  asked twice, since nobody can look it up later
 * @throws NmktError `bad-usage` when stdin is not a terminal or the two differ
 */
export async function askPassword(question: string, isNew: boolean): Promise<string> {
  if (!process.stdin.isTTY)
    throw new NmktError('bad-usage', 'a password is needed and there is no terminal to ask on', {
      remedy: 'name a file of mode 0600 with --password-file, or set NMKT_BACKUP_PASSWORD',
      expected: 'a password',
      got: 'no terminal',
    });
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  const ask = async (message: string): Promise<string> => {
    const { answer } = await prompt<{ answer: string }>([{ type: 'password', name: 'answer', message }]);
    return answer;
  };
  const password = await ask(question);
  if (isNew && (await ask('once more:')) !== password)
    throw new NmktError('bad-usage', 'the two passwords differ', {
      remedy: 'run the command again',
      expected: 'the same password twice',
      got: 'two different ones',
    });
  return password;
}
