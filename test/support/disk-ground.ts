import { homeFiles } from '../../src/commands/customer-ports.js';
import { openHome } from '../../src/config/home.js';
import { lockFolder } from '../../src/disk/lock.js';
import { ERRORS, isNmktError } from '../../src/errors.js';
import type { EventId } from '../../src/hash.js';
import { openJournal } from '../../src/journal/file-journal.js';
import type { Engine, Wallet } from '../../src/ports.js';
import type { SignedRecord } from '../../src/roles/job-book.js';
import { eventsFile } from '../../src/roles/job-files.js';
import { openLogStore } from '../../src/relay/store-log.js';
import { openLedger, type Ledger, type LedgerRecord } from '../../src/wallet/ledger.js';
import type { PayoutRecord } from '../../src/wallet/payout-records.js';
import { diskRelay } from './disk-relay.js';
import { diskWallets } from './disk-wallet.js';
import { Killed, namedRandom, type Ground, type Participant, type Running } from './market-world.js';
import { Crashed, SimDisk, type Cut, type DiskPlan, type DiskStep, type SimProcess } from './sim-disk.js';
import { virtualClock } from './virtual-clock.js';

/**
 * A market whose homes, relay and wallet service keep everything on disks that forget, each on a machine of its own. Any
 * of them crashes where it is told to, comes back a little later and goes on with what its disk kept.
 */

export const SERVICES = ['relay', 'wallet'] as const;

/** At the `at`-th change on the machine's disk by the process that runs then; those that ran when `arm` was called count from there. */
export interface Crash {
  readonly machine: string;
  readonly at: number;
  readonly when: 'before' | 'during' | 'after';
  readonly cut: Cut;
  /** The power of all machines goes at once. */
  readonly isForAll: boolean;
  readonly downSec: number;
}

/** From the `at`-th change on, counted as above, and for so long the machine's disk takes nothing. 0 s: one change fails. */
export interface DiskTrouble {
  readonly machine: string;
  readonly at: number;
  readonly code: 'ENOSPC' | 'EDQUOT' | 'EIO';
  /** Of the write that fails. */
  readonly afterBytes: number;
  readonly forSec: number;
}

const FAILING: Readonly<Record<DiskTrouble['code'], readonly DiskStep['name'][]>> = {
  ENOSPC: ['make', 'write', 'folder', 'link'],
  EDQUOT: ['make', 'write', 'folder', 'link'],
  EIO: ['write', 'sync', 'sync-folder'],
};

export interface DiskGround extends Ground {
  /** Crashes that happened, as the machines met them. */
  readonly crashes: readonly Crash[];
  /** Changes on the disk by the machine's first process since `arm`. */
  steps(machine: string): number;
  /** From here on `crashes` and `troubles` may happen. */
  arm(crashes: readonly Crash[], troubles?: readonly DiskTrouble[]): void;
  /** Changes that failed. */
  readonly failures: number;
  /** What each disk holds, as sure as if it had been synced: another ground may start from it. */
  copyDisks(seed: string): Map<string, SimDisk>;
  /** Cuts the power of all machines and reads what is left. */
  autopsy(job: EventId): Promise<Remains>;
}

export interface Remains {
  /** Every event in the relay's log. */
  readonly relay: readonly { readonly id: string; readonly pubkey: string; readonly kind: number }[];
  /** Of the signed events of a machine's home. */
  readonly journal: ReadonlyMap<string, readonly string[]>;
  readonly ledger: readonly LedgerRecord[];
  readonly balanceMsat: (account: string) => bigint;
  readonly totalMsat: bigint;
}

/** What its user does about an error of a command: types it again when that may help. */
export function isWorthRepeating(error: unknown): boolean {
  if (isNmktError(error) && ERRORS[error.code].retry) return true;
  return error instanceof Crashed || (error instanceof Error && isWorthRepeating(error.cause));
}

export async function openDiskGround(engine: Engine, seed: string, from?: Map<string, SimDisk>): Promise<DiskGround> {
  const clock = virtualClock(undefined, 86_400);
  const random = namedRandom(`disk-ground ${seed}`);
  const relay = diskRelay();
  const wallets = diskWallets(clock, random);
  const machines = new Map<string, Machine>();
  const alive = new Map<number, string>();
  const happened: Crash[] = [];
  let due: Crash[] = [];
  let troubles: (DiskTrouble & { readonly sinceSec?: number })[] = [];
  let failures = 0;
  let pids = 0;

  const machineOf = (name: string): Machine => {
    const known = machines.get(name);
    if (known !== undefined) return known;
    const disk = from?.get(name)?.copy(`${seed}/${name}`) ?? new SimDisk(`${seed}/${name}`);
    const made: Machine = { name, disk, upAtSec: 0, current: null, first: null };
    machines.set(name, made);
    return made;
  };

  /** Starts a process on a machine, once that is up again. */
  const boot = async (name: string): Promise<Booted> => {
    const machine = machineOf(name);
    while (clock.nowSec() < machine.upAtSec) await clock.wait((machine.upAtSec - clock.nowSec()) * 1000);
    const pid = ++pids;
    alive.set(pid, `${seed} ${pid}`);
    let reject: (error: Error) => void = () => undefined;
    const killed = new Promise<never>((_, fail) => (reject = fail));
    killed.catch(() => undefined);
    let crash: Crash | undefined;
    /** Where the counting of this process begins. */
    let from = 0;
    const troubleAt = (step: DiskStep): DiskTrouble | undefined => {
      const found = troubles.find(
        ({ machine, at, code, sinceSec }) =>
          machine === name && FAILING[code].includes(step.name) && (sinceSec !== undefined || step.n - from >= at),
      );
      if (found === undefined) return undefined;
      const since = found.sinceSec ?? clock.nowSec();
      const isOver = clock.nowSec() > since + found.forSec;
      troubles = troubles.filter((one) => one !== found);
      if (found.forSec > 0 && !isOver) troubles.push({ ...found, sinceSec: since });
      return isOver ? undefined : found;
    };
    const plan: DiskPlan = (step) => {
      const trouble = troubleAt(step);
      if (trouble !== undefined) {
        failures++;
        return { kind: 'error', code: trouble.code, afterBytes: trouble.afterBytes };
      }
      crash = due.find((one) => one.machine === name && one.at === step.n - from);
      if (crash === undefined) return undefined;
      due = due.filter((one) => one !== crash);
      return { kind: 'crash', when: crash.when, cut: crash.cut };
    };
    const process = machine.disk.start(plan, () => {
      happened.push(crash!);
      fall(machine, crash!.downSec);
      if (!crash!.isForAll) return;
      for (const other of machines.values()) {
        if (other !== machine) other.disk.powerCut();
        fall(other, crash!.downSec);
      }
    });
    const count = (): number => process.steps.length - from;
    machine.first ??= count;
    machine.current = {
      recount: () => {
        from = process.steps.length;
        return count;
      },
      end: () => {
        alive.delete(pid);
        reject(new Killed(`${name} is dead`));
      },
    };
    return { process, killed, pid, processes: { pid, startOf: (of: number) => alive.get(of) } };
  };
  const fall = (machine: Machine, downSec: number): void => {
    machine.upAtSec = clock.nowSec() + downSec;
    machine.current?.end();
    machine.current = null;
  };

  /** A service runs for ever: after a crash it starts again by itself. */
  const keepUp = async (name: string, serve: (booted: Booted) => Promise<void>, stop: () => void): Promise<void> => {
    const booted = await boot(name);
    booted.killed.catch(() => {
      stop();
      void keepUp(name, serve, stop);
    });
    await serve(booted).catch((error: unknown) => {
      if (!booted.process.isDead) throw error;
    });
  };
  const openBooks = async ({ process, processes }: Booted): Promise<Ledger> => {
    await lockFolder('/sb', { disk: process.disk, processes });
    return openLedger(await openJournal<LedgerRecord>('/sb/ledger.jsonl', process.disk));
  };
  const openEvents = ({ process, processes }: Booted) =>
    openLogStore('/relay', () => clock.nowSec(), process.disk, processes);
  let books: Ledger | null = null;
  const upRelay = keepUp(
    'relay',
    async (booted) => {
      const store = await openEvents(booted);
      if (!booted.process.isDead) await relay.serve(store);
    },
    () => void relay.serve(null),
  );
  const upWallet = keepUp(
    'wallet',
    async (booted) => {
      const ledger = await openBooks(booted);
      if (!booted.process.isDead) wallets.serve((books = ledger));
    },
    () => wallets.serve((books = null)),
  );
  await Promise.all([upRelay, upWallet]);

  return {
    clock,
    network: relay,
    engine,
    crashes: happened,
    get failures() {
      return failures;
    },
    async wallet(name, startMsat): Promise<Wallet> {
      await books!.fundOnce(name, startMsat);
      return wallets.wallet(name);
    },
    async start(who: Participant): Promise<Running> {
      const booted = await boot(who.name);
      const { process, killed } = booted;
      const home = openHome('/home', process.disk, booted.processes);
      await home.lock();
      const check = (): void => {
        if (process.isDead) throw new Killed(`${who.name} is dead`);
      };
      return {
        get isDead() {
          return process.isDead;
        },
        check,
        killed,
        signal: new AbortController().signal,
        files: () => homeFiles(home),
        events: (job) => openJournal<SignedRecord>(home.path(eventsFile(job)), process.disk),
        payouts: () => openJournal<PayoutRecord>(home.path('payouts.jsonl'), process.disk),
        relays: (client) => ({
          ...client,
          publish: async (event, urls) => (check(), client.publish(event, urls)),
          fetch: async (filters, options) => (check(), client.fetch(filters, options)),
          subscribe: (filters, onEvent) => client.subscribe(filters, (event) => process.isDead || onEvent(event)),
        }),
        async end() {
          if (process.isDead) return;
          await home.unlock();
          process.die();
          alive.delete(booted.pid);
          machineOf(who.name).current = null;
        },
      };
    },
    async settled() {
      for (const name of SERVICES) while (machineOf(name).current === null) await clock.wait(1000);
    },
    steps: (name) => machines.get(name)?.first?.() ?? 0,
    arm: (crashes, unwell = []) => {
      due = [...crashes];
      troubles = [...unwell];
      for (const machine of machines.values()) machine.first = machine.current?.recount() ?? null;
    },
    copyDisks: (copySeed) => new Map([...machines].map(([name, { disk }]) => [name, disk.copy(`${copySeed}/${name}`)])),
    async autopsy(job) {
      due = [];
      troubles = [];
      const found = new Map<string, SimProcess>();
      for (const [name, { disk }] of machines) {
        disk.powerCut();
        found.set(name, disk.start());
      }
      const store = await openEventsOf(found.get('relay')!);
      const events = store.find({}, Infinity, () => true).map(({ head }) => head);
      const journal = new Map<string, readonly string[]>();
      for (const [name, { disk }] of found) {
        if ((SERVICES as readonly string[]).includes(name)) continue;
        const records = await (await openJournal<SignedRecord>(`/home/${eventsFile(job)}`, disk)).read();
        journal.set(
          name,
          records.map(({ event }) => event.id),
        );
      }
      const lines = await openJournal<LedgerRecord>('/sb/ledger.jsonl', found.get('wallet')!.disk);
      const ledger = await openLedger(lines);
      return {
        relay: events,
        journal,
        ledger: await lines.read(),
        balanceMsat: (account) => ledger.balanceMsat(account),
        totalMsat: ledger.totalMsat(),
      };
    },
  };

  function openEventsOf(process: SimProcess) {
    const pid = ++pids;
    return openLogStore('/relay', () => clock.nowSec(), process.disk, {
      pid,
      startOf: (of) => (of === pid ? 'x' : undefined),
    });
  }
}

interface Machine {
  readonly name: string;
  readonly disk: SimDisk;
  upAtSec: number;
  /** The process on it; `recount` begins the counting of its changes anew. */
  current: { recount(): () => number; end(): void } | null;
  /** Changes by its first process since `arm`. */
  first: (() => number) | null;
}

interface Booted {
  readonly process: SimProcess;
  readonly killed: Promise<never>;
  readonly pid: number;
  readonly processes: { readonly pid: number; startOf(pid: number): string | undefined };
}
