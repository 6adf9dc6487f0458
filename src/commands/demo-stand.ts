import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DemoPlan } from '../demo/plan.js';
import type { Ended, Line, Participant } from '../demo/processes.js';
import { NmktError } from '../errors.js';
import type { DemoTools } from './demo-market.js';

/** What demos of jobs with a pot stand on: a sandbox, workers, the customer's commands, an audit by a stranger. */
export interface DemoStand {
  home(name: string): string;
  /** Once the sandbox is up. */
  readonly relay: Promise<string>;
  /** The work, unless somebody without whom it cannot end stops before. @throws NmktError that one's error */
  during<T>(work: Promise<T>): Promise<T>;
  /** @param name  of its settings in the sandbox; told what each line of it says */
  worker(name: string, args: readonly string[], told: (line: Line) => void): void;
  /** A command of the customer. */
  customer(args: readonly string[]): Promise<Ended>;
  /** Again where payouts are left: claims take a moment longer. Then waits until all workers have seen their last payment. */
  collect(job: string): Promise<Ended>;
  audit(job: string): Promise<'PASS' | 'FAIL'>;
}

const PURSE_SATS = 1_000_000;
/** How long workers may take to see their last payment after the model is there. */
const LAST_WORDS_MS = 20_000;

/** @throws NmktError `bad-usage` in a folder of an earlier demo */
export function standUp(
  plan: DemoPlan,
  { context, processes }: DemoTools,
  { trainers, validators }: { readonly trainers: number; readonly validators: number },
): DemoStand {
  const home = (name: string): string => join(plan.dir, name);
  const sandbox = home('sandbox');
  if (existsSync(sandbox))
    throw new NmktError('bad-usage', `${plan.dir} holds an earlier demo`, {
      expected: 'a new folder',
      got: sandbox,
      remedy: 'nmkt demo --mode MODE, without --dir or with another one',
    });
  let fail: (error: NmktError) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  failure.catch(() => undefined);
  const during = <T>(work: Promise<T>): Promise<T> => Promise.race([work, failure]);
  const relay = new Promise<string>((resolve) => {
    const args = [
      ...['sandbox', '--dir', sandbox, '--trainers', `${trainers}`, '--sats', `${PURSE_SATS}`],
      ...(validators > 0 ? ['--validators', `${validators}`] : []),
    ];
    const serving = processes.start('sandbox', args, (line) => {
      if (line['event'] === 'ready') resolve(String(line['relay']));
    });
    void serving.ended.then(({ error }) => error !== undefined && fail(error));
  });
  const workers: Participant[] = [];
  const own = ['--settings', join(sandbox, 'customer.json'), '--home', home('customer')];
  const customer = (args: readonly string[]) => during(processes.run('customer', [...args, ...own]));
  return {
    ...{ home, relay, during, customer },
    worker(name, args, told) {
      const settings = ['--settings', join(sandbox, `${name}.json`), '--home', home(name)];
      const worker = processes.start(name, [...args, '--once', '--engine', plan.engine, ...settings], told);
      void worker.ended.then(({ error }) => error !== undefined && fail(error));
      workers.push(worker);
    },
    async collect(job) {
      const args = ['collect-model', job, '--out', plan.modelDir];
      const first = await customer(args);
      const last = first.status === 7 ? await customer(args) : first;
      const all = new AbortController();
      void Promise.all(workers.map(({ ended }) => ended)).then(() => all.abort());
      await context.deps.clock.wait(LAST_WORDS_MS, AbortSignal.any([all.signal, context.signal]));
      return last;
    },
    async audit(job) {
      const args = ['audit', job, '--relay', await relay, '--home', home('auditor')];
      const { document } = await during(processes.start('auditor', args).ended);
      return document?.['verdict'] === 'PASS' ? 'PASS' : 'FAIL';
    },
  };
}
