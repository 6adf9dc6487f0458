import { Argument, Command, type Option } from 'commander';
import type { CommandModule } from './command.js';
import { commands, loadCommand } from './index.js';

/** Filled in by the command line after `configure`: only so the options of every command are known here. */
let own: Command | undefined;

export const command: CommandModule = {
  configure(program) {
    own = program;
    program
      .addArgument(new Argument('<shell>', 'whose script to print').choices(SHELLS))
      .addHelpText('before', '$ nmkt completion fish | source\n$ source <(nmkt completion bash)\n')
      .addHelpText('after', HELP);
  },

  async run([shell]) {
    const script = scripts[shell as Shell](await wordsOf(own!.options));
    return { value: { shell, script }, text: script.trimEnd() };
  },
};

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const HELP = `
Prints a script that completes commands, options, their choices and paths. To keep it: for bash and zsh put the line
source <(nmkt completion bash), or zsh, into ~/.bashrc or ~/.zshrc (zsh: after compinit); for fish write the script to
~/.config/fish/completions/nmkt.fish. Print it again after an update.
With --json one document: {shell, script}.`;

interface Flag {
  readonly long: string;
  readonly about: string;
  /** What may follow: these words, a path, some text, or nothing. */
  readonly value: readonly string[] | 'path' | 'text' | 'none';
}
interface Words {
  readonly name: string;
  readonly about: string;
  readonly flags: readonly Flag[];
  /** Of the arguments. */
  readonly choices: readonly string[];
}

async function wordsOf(shared: readonly Option[]): Promise<Words[]> {
  const all: Words[] = [];
  for (const entry of commands) {
    const program = new Command(entry.name);
    const mine = own;
    (await loadCommand(entry)).configure(program);
    own = mine;
    const flags = new Map(
      [...shared, ...program.options].map((option) => [option.long ?? option.flags, flagOf(option)]),
    );
    const choices = program.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
    all.push({ name: entry.name, about: entry.summary, flags: [...flags.values()], choices });
  }
  return all;
}

function flagOf({ long, flags, description, argChoices, required }: Option): Flag {
  const listed = /^(?:.*: )?((?:\w+, )*\w+ or \w+)(?:$| \()/.exec(description)?.[1];
  const value = !required
    ? 'none'
    : (argChoices ?? (/<(file|dir|path)>/.test(flags) ? 'path' : (listed?.split(/, | or /) ?? 'text')));
  return { long: long ?? flags, about: description, value };
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

const scripts: Readonly<Record<Shell, (all: readonly Words[]) => string>> = {
  bash: bashScript,
  // zsh runs functions of bash; its own compinit is what has to be there.
  zsh: (all) => `autoload -U +X bashcompinit && bashcompinit\n${bashScript(all)}`,
  fish: fishScript,
};

function bashScript(all: readonly Words[]): string {
  const names = all.map(({ name }) => name);
  const values = all.flatMap(({ name, flags }) =>
    flags.flatMap(({ long, value }) => {
      if (value === 'none') return [];
      const answer =
        value === 'path'
          ? 'compgen -f -- "$cur"'
          : value === 'text'
            ? 'true'
            : `compgen -W ${quoted(value.join(' '))} -- "$cur"`;
      return [`    ${quoted(`${name} ${long}`)}) COMPREPLY=($(${answer})); return ;;`];
    }),
  );
  const words = all.map(
    ({ name, flags, choices }) =>
      `    ${name}) words=${quoted([...choices, ...flags.map(({ long }) => long), '--help'].join(' '))} ;;`,
  );
  return `_nmkt() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in ${names.join('|')}) command="$word"; break ;; esac
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  case "$command" in
    '') words=${quoted([...names, '--help', '--version'].join(' '))} ;;
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ -n "$command" && "$cur" != -* ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _nmkt nmkt
`;
}

function fishScript(all: readonly Words[]): string {
  const fish = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
  const lines = all.flatMap(({ name, about, flags, choices }) => [
    `complete -c nmkt -n __fish_use_subcommand -f -a ${name} -d ${fish(about)}`,
    ...(choices.length > 0
      ? [`complete -c nmkt -n '__fish_seen_subcommand_from ${name}' -f -a ${fish(choices.join(' '))}`]
      : []),
    ...flags.map(({ long, about: text, value }) => {
      const kind =
        value === 'none' ? '' : value === 'path' ? ' -r' : value === 'text' ? ' -x' : ` -x -a ${fish(value.join(' '))}`;
      return `complete -c nmkt -n '__fish_seen_subcommand_from ${name}' -l ${long.replace(/^--/, '')}${kind} -d ${fish(text)}`;
    }),
  ]);
  return `${lines.join('\n')}\n`;
}
