import type { CommandModule, Context, Outcome } from './commands/command.js';
import { explainDisk } from './disk/durable.js';
import { createDeps, type Deps } from './deps.js';
import { isNmktError, NmktError } from './errors.js';
import type { SettingsFlags } from './config/settings.js';
import type { Output } from './terminal/output.js';
import { createProgress } from './terminal/progress.js';
import { createPrompt } from './terminal/prompt.js';

export type GlobalOptions = SettingsFlags & { readonly home?: string; readonly json?: boolean };

/** From parsed words to a printed value. @returns the exit status @throws what the command threw */
export async function runCommand(
  module: CommandModule,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
  output: Output,
): Promise<number> {
  const progress = createProgress(output);
  const { signal, release } = abortOnSignals(output);
  const globals = options as GlobalOptions;
  const prompt = createPrompt(output);
  try {
    const deps = await createDeps({ flags: globals, env: process.env, cwd: process.cwd(), progress, prompt, signal });
    const context: Context = {
      deps,
      progress,
      prompt,
      json: globals.json ?? false,
      signal,
      emit: (event, text) => output.emit(event, text),
    };
    const outcome = await runAndClose(() => module.run(args, options, context), deps, signal);
    output.result(outcome);
    return outcome.exit ?? 0;
  } finally {
    release();
  }
}

async function runAndClose(run: () => Promise<Outcome>, deps: Deps, signal: AbortSignal): Promise<Outcome> {
  try {
    return await run();
  } catch (cause) {
    const error = explainDisk(cause, (cause as NodeJS.ErrnoException).path ?? 'a file');
    if (!signal.aborted || isNmktError(error)) throw error;
    throw new NmktError('interrupted', 'stopped before the end', {
      remedy: 'run the same command again to go on',
      expected: 'time to finish',
      got: 'a signal',
      cause: error,
    });
  } finally {
    await deps.close();
  }
}

/**
 * The first SIGINT or SIGTERM asks the command to stop where the next run can go on: it then throws `interrupted`, or
 * returns when stopping is how it ends (a server). The second one kills.
 */
function abortOnSignals(output: Output): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      release();
      process.kill(process.pid, name);
      return;
    }
    output.say('stopping; once more stops at once');
    controller.abort();
  };
  const release = (): void => void process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return { signal: controller.signal, release };
}
