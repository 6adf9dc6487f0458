import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import type { CommandModule } from './commands/command.js';
import { commandGroups, commands, loadCommand, type CommandEntry } from './commands/index.js';
import { isNmktError, NmktError } from './errors.js';
import { createOutput, sendConsoleToStderr, stackOf, type Output, type Streams } from './terminal/output.js';
import { carriedFlags } from './terminal/call.js';
import { folded } from './terminal/fold.js';
import { usageError } from './terminal/usage.js';

/** Runs one command line, without `node` and `nmkt`, and leaves its status in `process.exitCode`. */
export async function main(argv: readonly string[]): Promise<void> {
  const output = outputFor(argv, process);
  sendConsoleToStderr();
  if (!process.env['NMKT_DEBUG']) silenceWarnings();
  process.on('uncaughtException', (error) => {
    process.exitCode = failWith(error, output);
    void output.drained().then(() => process.exit());
  });
  process.exitCode = await runLine(argv, output);
  await output.drained();
  // A library that forgot a timer or a socket must not keep a finished command alive.
  setTimeout(() => process.exit(), 1000).unref();
}

/** Flags that say how to print hold for errors in all the other flags too. */
export function outputFor(argv: readonly string[], streams: Streams): Output {
  const flags = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  return createOutput(
    {
      json: flags.includes('--json'),
      quiet: flags.includes('--quiet'),
      color: !flags.includes('--no-color'),
      env: process.env,
      carried: carriedFlags(flags),
    },
    streams,
  );
}

/** One command line and all it prints. @returns the exit status; throws nothing */
export async function runLine(argv: readonly string[], output: Output): Promise<number> {
  try {
    return await dispatch(argv, output);
  } catch (error) {
    return failWith(error, output);
  }
}

/** What Node.js thinks of the libraries (deprecated, experimental, many listeners) is no news for who runs a command. */
function silenceWarnings(): void {
  process.noDeprecation = true;
  process.removeAllListeners('warning');
}

/** @returns the exit status */
async function dispatch(argv: readonly string[], output: Output): Promise<number> {
  const { name, rest } = splitCommand(argv);
  const entry = commands.find((command) => command.name === name);
  if (entry !== undefined) return runEntry(entry, rest, output);
  if (name === undefined && rest.includes('--version')) {
    output.data(packageVersion());
    return 0;
  }
  const program = rootProgram(output);
  if (name === undefined && rest.includes('--json')) throw noCommand(rest);
  // Alone, so that `nmkt nosuch --help` is a wrong name and not the help of the program.
  if (name !== undefined) return parse(program, [name], 'nmkt', [name, ...rest]) ?? 0;
  if (argv.length > 0) return parse(program, rest, 'nmkt') ?? 0;
  program.outputHelp({ error: true });
  return 2;
}

/** Who wants JSON is a script: help on stderr alone would leave it with nothing. */
function noCommand(words: readonly string[]): NmktError {
  return new NmktError('bad-usage', 'no command is named', {
    remedy: 'nmkt --help',
    expected: 'one of the commands in nmkt --help',
    got: words.join(' '),
  });
}

/** Flags of every command may stand before its name too; `help X` is `X --help`. */
function splitCommand(argv: readonly string[]): { name: string | undefined; rest: readonly string[] } {
  const at = argv.findIndex((word, index) => !word.startsWith('-') && !takesValue(argv[index - 1]));
  const name = argv[at];
  if (name === undefined) return { name, rest: argv };
  const rest = [...argv.slice(0, at), ...argv.slice(at + 1)];
  if (name !== 'help') return { name, rest };
  return { name: rest[0], rest: rest[0] === undefined ? ['--help'] : [...rest.slice(1), '--help'] };
}

function takesValue(word: string | undefined): boolean {
  return globalOptions().some((option) => option.long === word && option.required);
}

async function runEntry(entry: CommandEntry, words: readonly string[], output: Output): Promise<number> {
  const { module, program, command } = await commandProgram(entry, output);
  const shown = parse(program, [entry.name, ...words], `nmkt ${entry.name}`);
  if (shown !== undefined) return shown;
  const { runCommand } = await import('./run-command.js');
  return runCommand(module, command.args, command.opts(), output);
}

/** A command with all its options, its own first. */
export async function commandProgram(
  entry: CommandEntry,
  output?: Output,
): Promise<{ readonly module: CommandModule; readonly program: Command; readonly command: Command }> {
  const module = await loadCommand(entry);
  const program = bareProgram(output);
  const command = program.command(entry.name).description(entry.summary);
  module.configure(command);
  for (const option of globalOptions()) {
    if (!command.options.some(({ long }) => long === option.long)) command.addOption(option);
  }
  command
    .configureHelp({ optionDescription: describeOption, minWidthToWrap: 20 })
    .action(() => undefined)
    .addHelpOption(new Option('-h, --help', 'print this').helpGroup(SHARED));
  return { module, program, command };
}

/**
 * @param typed  all that was typed, for the corrected call
 * @returns a status when parsing already answered (help), undefined when the command may run
 */
function parse(
  program: Command,
  words: readonly string[],
  command: string,
  typed: readonly string[] = words,
): number | undefined {
  try {
    program.parse(words, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw usageError(error, { command, words: typed, names: commands.map(({ name }) => name) });
  }
}

function bareProgram(output?: Output): Command {
  const program = new Command('nmkt').exitOverride().configureHelp({ minWidthToWrap: 20 });
  if (output === undefined) return program;
  return program.configureOutput({
    writeOut: (text) => output.data(folded(text, output.columns)),
    writeErr: (text) => output.say(folded(text, output.columns)),
    outputError: () => undefined,
    getOutHelpWidth: () => output.columns,
    getErrHelpWidth: () => output.columns,
  });
}

/** Commander would quote a default that is text. */
function describeOption({ description, defaultValue }: Option): string {
  return typeof defaultValue === 'string' ? `${description} (default ${defaultValue})` : description;
}

/** Knows every command's name and summary and nothing else of them. */
function rootProgram(output: Output): Command {
  const program = bareProgram(output)
    .description('A marketplace on Nostr: datasets trained by bidders, paid over Lightning.')
    .usage('<command> [options]')
    .option('--version', 'print the version')
    .helpOption('-h, --help', 'print this, or the help of a command')
    .helpCommand(false)
    .addHelpText('before', '$ nmkt demo        a whole market on this machine, nothing to set up\n')
    .addHelpText('after', '\nnmkt <command> --help has its examples and options.');
  for (const { heading, commands: members } of commandGroups) {
    program.commandsGroup(heading);
    for (const { name, summary } of members) program.command(name).description(summary).usage(' ').helpOption(false);
  }
  return program;
}

const SHARED = 'Options of every command:';

function globalOptions(): Option[] {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];
  return [
    new Option('--home <dir>', 'folder of this participant: key, wallet, journals'),
    new Option('--settings <file>', 'JSON file with relays, wallet, network, key, engine'),
    new Option('--relay <url>', 'a relay; may be repeated').argParser(collect),
    new Option('--network <name>', 'sandbox, regtest, simnet, signet, testnet or bitcoin'),
    new Option('--key-file <file>', 'file of mode 0600 with the private key, or the address of a bunker'),
    new Option('--key-password-file <file>', 'file of mode 0600 with the password of an encrypted key'),
    new Option('--wallet-file <file>', 'file of mode 0600 with a NIP-47 connection'),
    new Option('--engine <name>', 'auto, node, webgpu, wasm or cpu'),
    new Option('--json', 'machine-readable output on stdout'),
    new Option('--quiet', 'no conversation on stderr'),
    new Option('--no-color', 'no colours or spinners'),
    new Option('--yes', 'answer yes to every question'),
  ].map((option) => option.helpGroup(SHARED));
}

/** Prints what went wrong. @returns the exit status */
export function failWith(error: unknown, output: Output): number {
  const known = isNmktError(error) ? error : (fileError(error) ?? internalError(error));
  output.error(known, process.env['NMKT_DEBUG'] ? stackOf(error) : undefined);
  return known.exitStatus;
}

/** A path that somebody named and that cannot be used is no bug, wherever that was found out. */
function fileError(cause: unknown): NmktError | undefined {
  const { code, path, syscall } = cause as NodeJS.ErrnoException;
  const usual = ['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'EROFS', 'ELOOP', 'ENAMETOOLONG', 'EXDEV'];
  if (code === undefined || path === undefined || syscall === undefined || !usual.includes(code)) return undefined;
  return new NmktError('bad-settings', `${path} cannot be used`, {
    remedy: 'check the path and its permissions, or name another one',
    expected: `a path for ${syscall}`,
    got: code,
    cause,
  });
}

function internalError(cause: unknown): NmktError {
  return new NmktError('internal-error', cause instanceof Error ? cause.message : String(cause), {
    remedy: 'run it again with NMKT_DEBUG=1 and report what it prints',
    cause,
  });
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
