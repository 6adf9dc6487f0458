import { commands, loadCommand } from '../../src/commands/index.js';
import type { Context, Outcome } from '../../src/commands/command.js';
import { createDeps } from '../../src/deps.js';
import type { Prompt } from '../../src/ports.js';

/** A person who answers questions in this order; a missing answer fails, a leftover one can be seen. */
export function scriptedPrompt(answers: string[]): Prompt & { readonly asked: string[] } {
  const asked: string[] = [];
  const next = async (question: string, check?: (answer: string) => string | undefined): Promise<string> => {
    for (;;) {
      asked.push(question);
      const answer = answers.shift();
      if (answer === undefined) throw new Error(`no answer left for: ${question}`);
      const complaint = check?.(answer);
      if (complaint === undefined) return answer;
      asked.push(complaint);
    }
  };
  return {
    canAsk: true,
    asked,
    secret: next,
    text: async (question, fallback, check) => {
      const answer = await next(question, (text) => check?.(text === '' ? (fallback ?? '') : text));
      return answer === '' ? (fallback ?? '') : answer;
    },
    choose: async <T extends string>(question: string, choices: readonly { value: T }[], fallback?: T) => {
      const answer = await next(question, (text) =>
        text === '' || choices.some(({ value }) => value === text) ? undefined : `none of the choices: ${text}`,
      );
      return (answer === '' ? (fallback ?? choices[0]!.value) : answer) as T;
    },
    confirm: async (question) => (await next(question)) === 'y',
  };
}

export const nobody: Prompt = {
  canAsk: false,
  secret: () => Promise.reject(new Error('asked')),
  text: () => Promise.reject(new Error('asked')),
  choose: () => Promise.reject(new Error('asked')),
  confirm: () => Promise.reject(new Error('asked')),
};

export interface Call {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly prompt?: Prompt;
}

/** One command in this process, with everything real but the terminal. */
export async function callCommand(name: string, call: Call): Promise<Outcome & { readonly said: readonly string[] }> {
  const module = await loadCommand(commands.find((entry) => entry.name === name)!);
  return withContext(call, async (context, said) => ({
    ...(await module.run(call.args ?? [], call.options ?? {}, context)),
    said,
  }));
}

/** For what a command does in part. @param work  gets also what is said meanwhile */
export async function withContext<T>(
  call: Call,
  work: (context: Context, said: readonly string[]) => Promise<T>,
): Promise<T> {
  const { options = {}, cwd, prompt = nobody } = call;
  const said: string[] = [];
  const say = (text?: string): void => void (text !== undefined && said.push(text));
  const progress = { start: say, update: () => undefined, done: say, note: say, warn: say };
  const { signal } = new AbortController();
  const env = { HOME: cwd, ...call.env };
  const deps = await createDeps({ flags: options, env, cwd, progress, prompt, signal });
  try {
    return await work({ deps, progress, prompt, json: false, signal, emit: () => undefined }, said);
  } finally {
    await deps.close();
  }
}
