import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { Engine, Wallet } from '../ports.js';
import { unwrapRumor } from '../relay/gift-wrap.js';
import type { Bell } from '../roles/bell.js';
import { chunkFiles } from '../roles/home-files.js';
import { openInbox, type Inbox } from '../roles/inbox.js';
import type { JobBook } from '../roles/job-book.js';
import { keyInUse } from '../roles/presence.js';
import type { TrainerEnv } from '../roles/trainer.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import type { Context } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { jobFiles } from './lead.js';
import type { ServeFlags } from './serve-flags.js';
import type { JobServer } from './serve-jobs.js';
import { SAT, type Bounds } from './trainer-bounds.js';
import { trainerEngines, type TrainerEngines } from './trainer-engines.js';
import { inboxRelays } from './trainer-inbox.js';

/** A process that serves others' jobs: what all its jobs share, and what each of them gets of it. */

export interface WorkServer extends JobServer {
  readonly bounds: Bounds;
  readonly wallet: Wallet | null;
  readonly inbox: Inbox;
  readonly engines: TrainerEngines;
}

export interface Service {
  readonly server: WorkServer;
  /** Runs it to its end, closes it, and says as an error what kept it from one. @throws NmktError `key-in-use`, `timeout`, `interrupted` */
  during(serve: () => Promise<unknown>): Promise<void>;
}

/** @throws NmktError of relays, key and wallet: work that cannot be paid for is not looked for */
export async function openService(
  context: Context,
  role: JobServer['role'],
  { bounds, threads, parallel, isOnce, timeout, timeoutSec }: ServeFlags,
): Promise<Service> {
  const { deps, signal } = context;
  const own = await customerPorts(context);
  const presence = await presenceOf(own, role);
  const ports = { ...own, signer: presence.signer };
  const late = timeoutSec === undefined ? undefined : AbortSignal.timeout(timeoutSec * 1000);
  const stop = AbortSignal.any([signal, presence.rival, ...(late === undefined ? [] : [late])]);
  const { signer, clock } = ports;
  const wallet = await deps.wallet();
  await wallet?.info();
  const relays = await inboxRelays(context, ports);
  const engines = trainerEngines(context, bounds, { parallel, threads });
  const inbox = openInbox(relays, signer.pubkey, clock, (wrap) => unwrapRumor(wrap, signer));
  const server: WorkServer = {
    ...{ role, context, ports, bounds, wallet, inbox, engines, stop },
    emit: (job, event, fields, text) =>
      context.emit(
        { event, at: clock.nowSec(), ...(job === null ? {} : { job }), ...fields },
        job === null ? text : `${job.slice(0, 12)}…  ${text}`,
      ),
  };
  return {
    server,
    async during(serve) {
      try {
        if ((await serve()) !== null) return;
      } finally {
        inbox.close();
        presence.close();
      }
      if (presence.rival.aborted) throw keyInUse(role);
      if (late?.aborted === true)
        throw new NmktError('timeout', 'no job was finished in time', {
          expected: `a finished job within ${timeout}`,
          got: 'none',
          remedy: 'run the same command again; a job that was begun goes on',
        });
      if (isOnce)
        throw new NmktError('interrupted', 'stopped; jobs wait where they are', {
          remedy: 'run the same command again to go on',
        });
    },
  };
}

export interface WorkOnJob {
  /** Of a trainer's and a validator's work alike. */
  readonly env: Omit<TrainerEnv, 'terms' | 'shard'>;
  /** Tells how it ended. */
  tell(end: WorkEnd): void;
  /** Of the engine, if it was started. */
  close(): Promise<void>;
}
type WorkEnd =
  | { readonly end: 'done'; readonly rounds: number; readonly paidMsat: bigint }
  | { readonly end: string; readonly why: string };

/** @param isTold  else its story was told when it happened */
export function workOnJob(
  server: WorkServer,
  { job, snapshot }: { readonly job: EventOf<'job'>; readonly snapshot: Snapshot },
  { book, bell }: { readonly book: JobBook; readonly bell: Bell },
  isTold: boolean,
): WorkOnJob {
  const { context, ports, bounds, wallet, inbox, engines, stop } = server;
  const { relays, signer, clock, random, files } = ports;
  let engine: Promise<Engine> | undefined;
  return {
    env: {
      ...{ book, relays, signer, inbox, clock, random, bell, snapshot, wallet },
      files: jobFiles(files, job.id),
      chunks: chunkFiles(files, `jobs/${job.id}`),
      stake: { stake: () => context.deps.stake(), maxMsat: bounds.maxStakeMsat },
      network: context.deps.network,
      paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
      engine: () => (engine ??= engines.forJob(job, snapshot)),
      progress: context.progress,
      signal: stop,
      emit: (name, fields, text) => (isTold ? server.emit(job.id, name, fields, text) : undefined),
    },
    tell: (end) => tellEnd(server, job.id, end),
    close: async () => void (await engine?.then((own) => own.close()).catch(() => undefined)),
  };
}

export function tellEnd(server: JobServer, job: EventId, end: WorkEnd): void {
  if ('why' in end) {
    const { why } = end;
    return server.emit(job, end.end === 'stopped' ? 'error' : 'lost', { reason: why }, `${end.end}: ${why}`);
  }
  const { rounds, paidMsat } = end;
  server.emit(job, 'done', { rounds, paidMsat }, `done: ${rounds} rounds, ${paidMsat / SAT} sat`);
}
