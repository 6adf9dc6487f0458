import { NmktError } from '../errors.js';
import type { Choice, Prompt } from '../ports.js';
import type { Output } from './output.js';

type Check = (answer: string) => string | undefined;

/** Inquirer on stderr, loaded when the first question comes: it costs more than all of `nmkt --help`. */
export function createPrompt(output: Pick<Output, 'isInteractive' | 'canAsk'>): Prompt {
  const { canAsk } = output;
  const ask = async <T>(question: Record<string, unknown>): Promise<T> => {
    if (!canAsk) throw new TypeError('a question without a terminal');
    // Inquirer looks at the environment only; --no-color and TERM=dumb have to hold as well.
    if (!output.isInteractive) process.env['NO_COLOR'] ||= '1';
    const { default: inquirer } = await import('inquirer');
    try {
      const { answer } = await inquirer.createPromptModule({ output: process.stderr })<{ answer: T }>([
        { name: 'answer', ...question } as never,
      ]);
      return answer;
    } catch (cause) {
      if ((cause as Error).name === 'ExitPromptError') throw interrupted(cause);
      throw cause;
    }
  };
  return {
    canAsk,
    secret: (message, check) => ask({ type: 'password', message, mask: false, ...validated(check) }),
    text: (message, fallback, check) =>
      ask({ type: 'input', message, ...(fallback !== undefined && { default: fallback }), ...validated(check) }),
    choose: <T extends string>(message: string, choices: readonly Choice<T>[], fallback?: T) =>
      ask<T>({ type: 'select', message, choices: [...choices], ...(fallback !== undefined && { default: fallback }) }),
    confirm: (message) => ask({ type: 'confirm', message, default: false }),
  };
}

function validated(check: Check | undefined): Record<string, unknown> {
  return check === undefined ? {} : { validate: (answer: string) => check(answer) ?? true };
}

/** Ctrl-C in a question does not reach the process as a signal: the terminal is in raw mode. */
function interrupted(cause: unknown): NmktError {
  return new NmktError('interrupted', 'stopped at a question', {
    expected: 'an answer',
    got: 'Ctrl-C',
    remedy: 'run the same command again',
    cause,
  });
}
