import type { CommanderError } from 'commander';
import { NmktError } from '../errors.js';
import { callOf } from './call.js';

/**
 * What commander found wrong, as `bad-usage` with the corrected call where a nearby name is known.
 *
 * @param command  `nmkt`, or `nmkt NAME`
 * @param words    all that was typed after `nmkt`
 * @param names    of the commands: part of a name is as good as a typo
 */
export function usageError(
  { code, message }: CommanderError,
  {
    command,
    words,
    names,
  }: { readonly command: string; readonly words: readonly string[]; readonly names: readonly string[] },
): NmktError {
  const [first = '', second = ''] = message.split('\n');
  const got = /'([^']*)'/.exec(first)?.[1] ?? 'something else';
  const near = /Did you mean (?:one of )?([^,?]+)/.exec(second)?.[1];
  const isCommand = code === 'commander.unknownCommand' && got.length >= 3;
  // A whole part of a name is surer than a typo in it, that surer than a name that looks alike, and last the first letters.
  const suggestion =
    (isCommand ? names.find((name) => name.includes(got)) : undefined) ??
    (isCommand ? names.find((name) => name.split('-').some((part) => isOneEditAway(part, got))) : undefined) ??
    near ??
    (isCommand ? names.find((name) => name.startsWith(got.slice(0, 3))) : undefined);
  return new NmktError('bad-usage', first.replace(/^error: /, ''), {
    remedy: suggestion === undefined ? `${command} --help` : corrected(words, got, suggestion),
    expected: expectedBy(code, command, first),
    got: gotBy(code, first) ?? got,
  });
}

/** One letter is missing, too many or another one. */
function isOneEditAway(a: string, b: string): boolean {
  const length = Math.max(a.length, b.length);
  const shorter = Math.min(a.length, b.length);
  if (length - shorter > 1) return false;
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return length - start - end <= 1;
}

/** Only the wrong word changes; the rest of the call is as it was. */
function corrected(words: readonly string[], got: string, suggestion: string): string {
  const value = got.includes('=') ? got.slice(got.indexOf('=')) : '';
  return callOf(words.map((word) => (word === got ? `${suggestion}${value}` : word)));
}

/** `<path>` or `--out <dir>`, as the help writes it. */
function missing(message: string): string {
  const name = /'([^']*)'/.exec(message)?.[1] ?? 'a value';
  return name.startsWith('-') ? name : `<${name}>`;
}

function gotBy(code: string, message: string): string | undefined {
  if (code.startsWith('commander.missing')) return 'nothing';
  if (code === 'commander.invalidArgument') return /argument '([^']*)'/.exec(message)?.[1];
  return code === 'commander.excessArguments' ? /got (\d+)/.exec(message)?.[1] : undefined;
}

function expectedBy(code: string, command: string, message: string): string {
  switch (code) {
    case 'commander.unknownCommand':
      return 'one of the commands in nmkt --help';
    case 'commander.unknownOption':
      return `one of the options in ${command} --help`;
    case 'commander.optionMissingArgument':
      return 'a value after the option';
    case 'commander.excessArguments':
      return /Expected (\d+ arguments?)/.exec(message)?.[1] ?? 'fewer arguments';
    case 'commander.missingArgument':
    case 'commander.missingMandatoryOptionValue':
      return missing(message);
    case 'commander.invalidArgument':
      return `one of ${/choices are (.*)\.$/.exec(message)?.[1] ?? `the values in ${command} --help`}`;
    default:
      return `what ${command} --help describes`;
  }
}
