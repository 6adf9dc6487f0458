import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import type { Clock } from '../ports.js';
import { writeDigits } from './digits-files.js';
import { feeSats, jobFile, purseSats, quorumOf, type DemoPlan } from './plan.js';
import type { Ended, Line, Participant, Processes } from './processes.js';
import type { Stage } from './stage.js';

/** Who takes part, each a process with a home of its own in the demo's folder. */
export interface Cast {
  readonly customerHome: string;
  /** @returns its relay, and whether nothing was in its folder before */
  openSandbox(): Promise<{ readonly relay: string; readonly isFresh: boolean }>;
  /** And validators. @param job  this one only; else the first that appears */
  startWorkers(job?: string): void;
  /** @returns the document of publish-dataset with a job */
  publish(): Promise<Ended>;
  collect(job: string): Promise<Ended>;
  /** By somebody with a home of its own, who has the events and the audit keys and nothing else. */
  audit(job: string, relay: string): Promise<Verdict>;
  /** Resolves when all trainers and validators have ended, or after a while. */
  workersEnd(): Promise<void>;
  /** The work, unless somebody without whom it cannot end stops before. @throws NmktError that one's error */
  during<T>(work: Promise<T>): Promise<T>;
}

export interface Verdict {
  readonly audit: 'PASS' | 'FAIL';
  /** The first event that does not follow; null when all do. */
  readonly finding: string | null;
}

/** How long they may take to see their last payment after the model is there. */
const LAST_WORDS_MS = 20_000;

export function createCast(
  plan: DemoPlan,
  stage: Stage,
  { processes, clock, signal }: { readonly processes: Processes; readonly clock: Clock; readonly signal: AbortSignal },
): Cast {
  const sandboxDir = join(plan.dir, 'sandbox');
  const home = (name: string): string => join(plan.dir, name);
  const customer = ['--settings', join(sandboxDir, 'customer.json'), '--home', home('customer')];
  let workers: readonly Participant[] = [];
  let fail: (error: NmktError) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  failure.catch(() => undefined);

  const startTrainer = (index: number, extra: readonly string[]): Participant => {
    const id = `trainer-${index + 1}`;
    const args = [
      ...['serve-trainer', '--settings', join(sandboxDir, `${id}.json`), '--home', home(id)],
      ...['--price', `${plan.priceSats}`, '--engine', plan.engine, '--once', ...extra],
    ];
    const participant = processes.start(id, args, (line) => stage.trainerSaid(index, line));
    void participant.ended.then(({ error }) => {
      if (error === undefined || signal.aborted) return;
      stage.trainerFailed(index, error.message);
      if (stage.board().trainers.filter(({ hasFailed }) => !hasFailed).length < quorumOf(plan.trainers)) fail(error);
    });
    return participant;
  };
  /** Whose end stops nothing: then the customer's own scores count. */
  const startValidator = (index: number, extra: readonly string[]): Participant => {
    const id = `validator-${index + 1}`;
    const args = [
      ...['serve-validator', '--settings', join(sandboxDir, `${id}.json`), '--home', home(id)],
      ...['--fee', `${feeSats(plan)}`, '--engine', plan.engine, '--once', ...extra],
    ];
    const participant = processes.start(id, args, (line) => stage.validatorSaid(index, line));
    void participant.ended.then(({ error }) => {
      if (error !== undefined && !signal.aborted) stage.validatorFailed(index, error.message);
    });
    return participant;
  };
  const during = <T>(work: Promise<T>): Promise<T> => Promise.race([work, failure]);

  return {
    customerHome: home('customer'),
    during,

    async openSandbox() {
      const isFresh = !existsSync(sandboxDir);
      const args = [
        ...['sandbox', '--dir', sandboxDir, '--trainers', `${plan.trainers}`, '--sats', `${purseSats(plan)}`],
        ...(plan.validators > 0 ? ['--validators', `${plan.validators}`] : []),
      ];
      stage.show({ sandbox: 'starting a relay and play-money wallets' });
      const ready = new Promise<string>((resolve) => {
        const sandbox = processes.start('sandbox', args, (line) => {
          if (line['event'] === 'ready') resolve(String(line['relay']));
        });
        void sandbox.ended.then(({ error }) => fail(error ?? goneTooSoon()));
      });
      if (plan.data === null) await writeDigits(home('data'));
      const relay = await during(ready);
      stage.show({ sandbox: `relay and wallets at ${relay}` });
      stage.say(`sandbox: relay and play-money wallets at ${relay}`);
      return { relay, isFresh };
    },

    startWorkers(job) {
      const extra = job === undefined ? [] : ['--job', job];
      const { trainers, validators } = stage.board();
      workers = [
        ...trainers.map((_, index) => startTrainer(index, extra)),
        ...validators.map((_, index) => startValidator(index, extra)),
      ];
    },

    async publish() {
      const text = 'encrypts, cuts and publishes the dataset';
      stage.show({ customer: text });
      stage.say(`customer: ${text}`);
      await writeFile(home('job.json'), jobFile(plan));
      const { data } = plan;
      return during(
        processes.run('customer', [
          ...['publish-dataset', data?.path ?? home('data'), '--job', home('job.json'), ...customer],
          ...(data?.label === undefined ? [] : ['--label', data.label]),
          ...(data?.test === undefined ? [] : ['--test', data.test]),
        ]),
      );
    },

    async collect(job) {
      const args = ['collect-model', job, '--out', plan.modelDir, '--engine', plan.engine, ...customer];
      const first = await during(processes.run('customer', args));
      // Payouts are left: the claims take a moment longer.
      return first.status === 7 ? during(processes.run('customer', args)) : first;
    },

    async audit(job, relay) {
      const keys = join(plan.modelDir, 'audit-keys.json');
      const args = ['audit', job, '--keys', keys, '--relay', relay, '--home', home('auditor')];
      const { document, error } = await during(processes.start('auditor', args).ended);
      const { verdict, firstBad } = (document ?? {}) as { verdict?: unknown; firstBad?: unknown };
      if (verdict === 'PASS' && error === undefined) return { audit: 'PASS', finding: null };
      if (verdict !== 'FAIL') throw error ?? noVerdict(document);
      const { event = '', rule = '', detail = '' } = (firstBad ?? {}) as Record<string, string>;
      return { audit: 'FAIL', finding: `event ${event.slice(0, 12)}: ${rule}: ${detail}` };
    },

    async workersEnd() {
      const all = new AbortController();
      void Promise.all(workers.map(({ ended }) => ended)).then(() => all.abort());
      await clock.wait(LAST_WORDS_MS, AbortSignal.any([all.signal, signal]));
    },
  };
}

function goneTooSoon(): NmktError {
  return new NmktError('internal-error', 'the sandbox ended before the demo', {
    expected: 'a sandbox that serves until it is stopped',
    got: 'its end',
    remedy: 'run the demo again',
  });
}

function noVerdict(document: Line | undefined): NmktError {
  return new NmktError('internal-error', 'the audit ended without a verdict', {
    expected: 'PASS or FAIL',
    got: JSON.stringify(document ?? null).slice(0, 200),
    remedy: 'run the demo again with --keep: it keeps a log of each process',
  });
}
