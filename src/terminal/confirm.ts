import { NmktError } from '../errors.js';

/**
 * A yes-or-no question to the person at the terminal; the default answer is no.
 *
 * @param yes  `--yes` was given: nothing is asked
 * @throws NmktError `bad-usage` naming --yes when stdin is not a terminal
 */
export async function confirm(question: string, yes: boolean): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) {
    throw new NmktError('bad-usage', `this needs a yes: ${question}`, {
      remedy: 'add --yes to the command',
      expected: 'an answer',
      got: 'no terminal to ask on',
    });
  }
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  const { answer } = await prompt<{ answer: boolean }>([
    { type: 'confirm', name: 'answer', message: question, default: false },
  ]);
  return answer;
}
