import type { Ora } from 'ora';
import type { Progress } from '../ports.js';
import type { Output } from './output.js';
import { withoutControls } from './color.js';
import { redact } from './redact.js';

/**
 * The conversation on stderr. On a terminal one spinner; else plain lines, where `update` says nothing (it may come a
 * hundred times a second); with --quiet nothing.
 */
export function createProgress(output: Output): Progress {
  if (output.quiet) return { start() {}, update() {}, done() {}, note() {}, warn() {} };
  return output.isInteractive ? spinning(output) : plain(output);
}

function plain(output: Output): Progress {
  let last = '';
  const say = (text: string): void => {
    if (text !== last) output.say(text);
    last = text;
  };
  return {
    start: say,
    update() {},
    done: (text) => text !== undefined && say(text),
    note: say,
    warn: (line) => output.say(`${output.style.yellow('warning:')} ${line}`),
  };
}

/** Ora loads when the first spinner starts: it costs some 30 ms that `--help` and errors need not pay. */
function spinning(output: Output): Progress {
  let spinner: Ora | undefined;
  let text = '';
  let isRunning = false;

  const spin = async (): Promise<void> => {
    const { default: ora } = await import('ora');
    if (!isRunning) return;
    // discardStdin would take Ctrl-C away from the process.
    spinner = ora({ text, stream: process.stderr, discardStdin: false }).start();
  };
  /** A line above the spinner, which comes back below it. */
  const above = (print: () => void): void => {
    spinner?.stop();
    print();
    if (isRunning) spinner?.start();
  };
  return {
    start(next) {
      text = withoutControls(redact(next));
      if (spinner) spinner.text = text;
      if (isRunning) return;
      isRunning = true;
      if (spinner) spinner.start(text);
      else void spin();
    },
    update(next) {
      text = withoutControls(redact(next));
      if (spinner) spinner.text = text;
    },
    done(last) {
      isRunning = false;
      spinner?.stop();
      if (last !== undefined) output.say(`${output.style.green('✔')} ${last}`);
    },
    note: (line) => above(() => output.say(line)),
    warn: (line) => above(() => output.say(`${output.style.yellow('warning:')} ${line}`)),
  };
}
