import { Console } from 'node:console';
import { Writable } from 'node:stream';
import type { Outcome } from '../commands/command.js';
import type { NmktError } from '../errors.js';
import { typable } from './call.js';
import { createStyle, wantsColor, withoutControls, type Style } from './color.js';
import { toJsonLine } from './json.js';
import { redact } from './redact.js';

/** The one owner of stdout (data) and stderr (conversation). */
export interface Output {
  readonly style: Style;
  /** May spinners run on stderr? */
  readonly isInteractive: boolean;
  readonly quiet: boolean;
  /** Is there somebody who can answer a question? */
  readonly canAsk: boolean;
  /** Width for help: what COLUMNS says, else the terminal, else 80. */
  readonly columns: number;
  /** A stream command's event: a JSON object per line with `--json`, else its text. */
  emit(event: Record<string, unknown>, text: string): void;
  /** The command's value on stdout, the next command on stderr. */
  result(outcome: Outcome): void;
  error(error: NmktError, stack?: string): void;
  /** One line of conversation; nothing with `--quiet`. */
  say(line: string): void;
  /** Help and version: asked for, so they are data. */
  data(text: string): void;
  /** Resolves when everything written has left the process or its reader has gone. */
  drained(): Promise<void>;
}

/** Those of a process, or of a test. */
export interface Streams {
  readonly stdin: { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Flags that a suggested call needs again. */
  readonly carried?: readonly (readonly [flag: string, value: string])[];
}

export function createOutput(options: OutputOptions, streams: Streams = process): Output {
  const stdout = guarded(streams.stdout);
  const stderr = guarded(streams.stderr);
  const isTerminal = streams.stderr.isTTY === true;
  const off = !options.color || options.quiet;
  const onTerminal = (isTerminal: boolean): boolean => wantsColor({ isTerminal, off, env: options.env });
  const style = createStyle(onTerminal(isTerminal));
  const asTyped = (text: string, carried = options.carried ?? []): string => typable(text, carried, options.env);
  const homeOnly = options.carried?.filter(([flag]) => flag === '--home');
  return {
    style,
    isInteractive: onTerminal(isTerminal),
    canAsk: streams.stdin.isTTY === true && isTerminal,
    columns: columnsOf(options.env['COLUMNS'], streams.stdout.columns),
    quiet: options.quiet,
    emit: (event, text) => stdout.line(options.json ? toJsonLine(event) : withoutControls(text)),
    result({ value, text, next, isKeptInHome }) {
      if (options.json) {
        if (value !== undefined) stdout.line(toJsonLine(value));
      } else if (text !== undefined && text !== '') stdout.line(withoutControls(text));
      if (next !== undefined && !options.quiet)
        stderr.line(
          `${style.dim('next:')} ${withoutControls(asTyped(next, isKeptInHome ? homeOnly : options.carried))}`,
        );
    },
    error(error, stack) {
      const { text } = rescued(error);
      if (options.json) stdout.line(errorDocument(error));
      else if (text !== undefined) stdout.line(withoutControls(text));
      stderr.line(errorText(error, style, asTyped(error.remedy)));
      if (stack !== undefined) stderr.line(stack);
    },
    say: (line) => (options.quiet ? undefined : stderr.line(line)),
    data: (text) => stdout.line(text),
    drained: async () => {
      await Promise.all([stdout.drained(), stderr.drained()]);
    },
  };
}

function columnsOf(wanted: string | undefined, terminal: number | undefined): number {
  const columns = /^\d{1,4}$/.test(wanted ?? '') ? Number(wanted) : (terminal ?? 80);
  return Math.max(columns, 40);
}

/** A result that is still worth having (the model below the wanted accuracy) goes beside the error. */
function errorDocument(error: NmktError): string {
  const { code, message, expected = null, got = null, remedy } = error;
  const { value } = rescued(error);
  const fields = typeof value === 'object' && value !== null ? value : {};
  return toJsonLine({ ...fields, error: { code, message, expected, got, remedy } });
}

/** An error's `value` is an outcome when it has a text for people, else it is the outcome's value. */
function rescued({ value }: NmktError): Outcome {
  const isOutcome = typeof value === 'object' && value !== null && 'text' in value && typeof value.text === 'string';
  return isOutcome ? (value as Outcome) : { value };
}

function errorText(error: NmktError, style: Style, remedy: string): string {
  const { message, expected, got, code } = error;
  const facts = [expected && `expected ${expected}`, got && `got ${got}`].filter(Boolean).join(', ');
  const lines = [message, facts, `try:  ${remedy}`, `code: ${code}`].filter((line) => line !== '');
  return `${style.red('error:')} ${withoutControls(lines.join('\n  '))}`;
}

/**
 * A reader that left early (`| head -1`) is no error: what comes after is dropped. A command that serves others goes
 * on, for its work is not its output.
 */
function guarded(stream: Writable): { line(text: string): void; drained(): Promise<void> } {
  let isClosed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    isClosed = true;
    if (error.code !== 'EPIPE') process.exitCode = 1;
  });
  const write = (text: string, done?: () => void): void => {
    if (isClosed || stream.destroyed) done?.();
    else stream.write(text, done && (() => done()));
  };
  return {
    line: (text) => write(`${redact(text).replace(/\n$/, '')}\n`),
    drained: () => new Promise((resolve) => write('', resolve)),
  };
}

/**
 * Libraries chat on the global console (nostr-tools prints relay notices, the NIP-47 client its connections); both
 * would land on stdout and break `--json`. Call it before they load.
 */
export function sendConsoleToStderr(): void {
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      process.stderr.write(redact(chunk.toString('utf8')), () => done());
    },
  });
  globalThis.console = new Console({ stdout: stderr, stderr, colorMode: false });
}

/** The stack of an error and of its causes, the outermost first. */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : 'something that is no error was thrown';
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by ${stackOf(error.cause)}`;
}
