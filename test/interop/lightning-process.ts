import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { vi } from 'vitest';

/** A program of the simnet, started again in the same folder as often as a test wants. */
export interface NodeProcess {
  start(): void;
  /** SIGKILL, and gone when it resolves. */
  kill(): Promise<void>;
}

const processes: NodeProcess[] = [];

/** Every one of this file, also of a simnet that failed while it was made. */
export async function killNodes(): Promise<void> {
  await Promise.all(processes.map((one) => one.kill()));
}

export function nodeProcess(program: string, words: readonly string[]): NodeProcess {
  let child: ChildProcess | undefined;
  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  const node: NodeProcess = {
    start() {
      child = spawn(program, words, { stdio: 'ignore' });
    },
    async kill() {
      if (!isRunning()) return;
      const end = once(child!, 'exit');
      child!.kill('SIGKILL');
      await end;
    },
  };
  processes.push(node);
  return node;
}

/** Asks until the answer holds: every wait of the simnet. @throws the last failure, after `timeoutMs` */
export function until<T>(what: string, probe: () => Promise<T | undefined | false>, timeoutMs = 60_000): Promise<T> {
  return vi.waitFor(
    async () => {
      const answer = await probe();
      if (answer === undefined || answer === false) throw new Error(`not yet: ${what}`);
      return answer;
    },
    { timeout: timeoutMs, interval: 50 },
  );
}
