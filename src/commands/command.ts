import type { Command } from 'commander';
import type { Deps } from '../deps.js';
import type { Progress, Prompt } from '../ports.js';

/** What a command gets: adapters made on first use, and the conversation. It prints nothing itself. */
export interface Context {
  readonly deps: Deps;
  readonly progress: Progress;
  /** Ask only where `canAsk`, and only what no flag answers. */
  readonly prompt: Prompt;
  readonly json: boolean;
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** A stream command's event: one JSON object per line with --json, else `text` as one line on stdout. */
  emit(event: Record<string, unknown>, text: string): void;
}

/** The returned value: `value` is the --json document (absent for stream commands), `text` the human rendering. */
export interface Outcome {
  readonly value?: unknown;
  readonly text?: string;
  /** The likely next command, shown on stderr. */
  readonly next?: string;
  /** The home now has what the flags said: the next command needs `--home` alone. */
  readonly isKeptInHome?: boolean;
  /** Exit status when it is not 0, e.g. 7 partly done, with the value printed. */
  readonly exit?: number;
}

/** One file per command exports `command: CommandModule`; the file has the command's name. */
export interface CommandModule {
  /** Arguments, options and examples on an already created commander sub-command. */
  configure(program: Command): void;
  run(args: readonly string[], options: Readonly<Record<string, unknown>>, context: Context): Promise<Outcome>;
}
