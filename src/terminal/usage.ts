import type { CommanderError } from 'commander';
import { NmktError } from '../errors.js';

/** What commander found wrong, as `bad-usage` with the corrected call where commander knows one. */
export function usageError({ code, message }: CommanderError, command: string): NmktError {
  const [first = '', second = ''] = message.split('\n');
  const suggestion = /Did you mean (?:one of )?([^,?]+)/.exec(second)?.[1];
  const got = /'([^']*)'/.exec(first)?.[1];
  return new NmktError('bad-usage', first.replace(/^error: /, ''), {
    remedy: suggestion === undefined ? `${command} --help` : corrected(command, code, suggestion),
    expected: expectedBy(code, command),
    got: code.startsWith('commander.missing') ? 'nothing' : (got ?? 'something else'),
  });
}

function corrected(command: string, code: string, suggestion: string): string {
  return code === 'commander.unknownCommand' ? `nmkt ${suggestion}` : `${command} ${suggestion}`;
}

function expectedBy(code: string, command: string): string {
  switch (code) {
    case 'commander.unknownCommand':
      return 'one of the commands in nmkt --help';
    case 'commander.unknownOption':
      return `one of the options in ${command} --help`;
    case 'commander.optionMissingArgument':
      return 'a value after the option';
    case 'commander.excessArguments':
      return 'fewer arguments';
    case 'commander.missingArgument':
    case 'commander.missingMandatoryOptionValue':
      return 'a value';
    default:
      return `what ${command} --help describes`;
  }
}
