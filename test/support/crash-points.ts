import { SimDisk, Crashed, type Cut, type DiskFault, type DiskPlan } from './sim-disk.js';
import type { Disk } from '../../src/disk/disk.js';

/** How often each crash is repeated with other luck, so that other parts of what was not synced survive. */
const LUCKS = 6;

export interface CrashTest {
  /** What was there before, durable. */
  readonly before?: (disk: Disk) => Promise<void>;
  /** Does something, and says a fact when it was told that it is done. */
  readonly act: (disk: Disk, say: (fact: string) => void) => Promise<void>;
  /**
   * A new process: finds what it finds, and goes on. Facts said before must hold. What it acts on must hold after the
   * next crash too: it says so.
   */
  readonly after: (disk: Disk, said: readonly string[], say: (fact: string) => void) => Promise<void>;
}

/**
 * Crashes `act` before, in the middle of and after each of its changes on the disk, by kill and by power cut, and checks
 * what the next process finds; then cuts the power and checks again.
 *
 * @returns crashes tried
 */
export async function atEveryCrash(name: string, test: CrashTest): Promise<number> {
  const base = new SimDisk(name);
  await test.before?.(base.start().disk);
  const quiet = base.copy(name).start();
  await test.act(quiet.disk, () => undefined);
  let tried = 0;
  for (let n = 0; n < quiet.steps.length; n++)
    for (const when of ['before', 'during', 'after'] as const)
      for (const cut of ['kill', 'power'] as const)
        for (let luck = 0; luck < (cut === 'kill' && when !== 'during' ? 1 : LUCKS); luck++) {
          const label = `${name}: ${cut} ${when} step ${n} (${quiet.steps[n]!.name} ${quiet.steps[n]!.path}), luck ${luck}`;
          await crashOnce(base.copy(label), at(n, when, cut), test).catch((cause: unknown) => {
            throw new Error(label, { cause });
          });
          tried++;
        }
  return tried;
}

async function crashOnce(machine: SimDisk, plan: DiskPlan, { act, after }: CrashTest): Promise<void> {
  const said: string[] = [];
  const say = (fact: string): void => void said.push(fact);
  const doomed = machine.start(plan);
  await act(doomed.disk, say).then(
    () => Promise.reject(new Error('it was to crash')),
    (error: unknown) => {
      if (!(error instanceof Crashed) && !doomed.isDead) throw error;
    },
  );
  await after(machine.start().disk, [...said], say);
  machine.powerCut();
  await after(machine.start().disk, [...said], say);
}

export function at(n: number, when: 'before' | 'during' | 'after', cut: Cut): DiskPlan {
  return (step) => (step.n === n ? { kind: 'crash', when, cut } : undefined);
}

/** Fails `act` at each of its changes with each fault, then lets it try again on the same process's disk. */
export async function atEveryFault(
  name: string,
  faults: readonly DiskFault[],
  test: Pick<CrashTest, 'before'> & {
    /** @returns after as many attempts as it needs; `failed` tells of each one that did not succeed */
    readonly act: (disk: Disk, failed: (error: unknown) => void) => Promise<void>;
    readonly after: (disk: Disk) => Promise<void>;
  },
): Promise<number> {
  const base = new SimDisk(name);
  await test.before?.(base.start().disk);
  const quiet = base.copy(name).start();
  await test.act(quiet.disk, (error) => {
    throw error;
  });
  let failures = 0;
  for (let n = 0; n < quiet.steps.length; n++)
    for (const fault of faults) {
      const label = `${name}: ${JSON.stringify(fault)} at step ${n} (${quiet.steps[n]!.name} ${quiet.steps[n]!.path})`;
      const machine = base.copy(label);
      const { disk } = machine.start((step) => (step.n === n ? fault : undefined));
      try {
        await test.act(disk, () => failures++);
        machine.powerCut();
        await test.after(machine.start().disk);
      } catch (cause) {
        throw new Error(label, { cause });
      }
    }
  return failures;
}
