/** Calls of kernels that one thread offers and several take, in memory that all of them see. */
export interface Queue {
  readonly words: Int32Array;
  /** SLOTS calls: how many arguments, then these. */
  readonly calls: Float64Array;
  /** UTF-8 text of the last call that failed; `words[FAILED]` bytes. */
  readonly failure: Uint8Array;
}
export type Buffers = Readonly<Record<keyof Queue, SharedArrayBuffer>>;

/** Most calls at a time. */
export const SLOTS = 64;
const ARGUMENTS = 24;
const FAILURE_BYTES = 512;

// Of `words`. NEXT, END and DONE only grow (and wrap around): the calls from NEXT to END are to be taken, and all are
// done when DONE is END. So whoever is late finds nothing to take, and never a call of before.
const NEXT = 0;
const END = 1;
const DONE = 2;
const FAILED = 3;
const KERNEL = 4;
/** Where memory to work in begins, and how many bytes of it each thread has. */
const WORK = 5;
const WORK_BYTES = 6;

/** Looks at most at this before it goes to sleep: about 20 microseconds. */
const SPINS = 2000;

export function makeBuffers(): Buffers {
  return {
    words: new SharedArrayBuffer(4 * 8),
    calls: new SharedArrayBuffer(8 * SLOTS * ARGUMENTS),
    failure: new SharedArrayBuffer(FAILURE_BYTES),
  };
}

export function queueIn({ words, calls, failure }: Buffers): Queue {
  return { words: new Int32Array(words), calls: new Float64Array(calls), failure: new Uint8Array(failure) };
}

export interface Offer {
  /** Which function of the module, in an order that all threads know. */
  readonly kernel: number;
  /** Arguments; each of the calls may be the first one done. */
  readonly calls: readonly (readonly number[])[];
  /** Memory to work in, whose address becomes the last argument unless it has no bytes: the first thread's, and bytes of each one's. */
  readonly work: number;
  readonly workBytes: number;
}

/** For the one thread that offers, when all that was offered before is done. At most SLOTS calls. */
export function offer({ words, calls }: Queue, { kernel, calls: wanted, work, workBytes }: Offer): void {
  const first = words[END]!;
  for (const [i, numbers] of wanted.entries()) {
    const at = slot(first + i);
    calls[at] = numbers.length;
    calls.set(numbers, at + 1);
  }
  words[KERNEL] = kernel;
  words[WORK] = work;
  words[WORK_BYTES] = workBytes;
  words[FAILED] = 0;
  Atomics.store(words, END, (first + wanted.length) | 0);
  Atomics.notify(words, END);
}

function slot(ticket: number): number {
  return ((ticket >>> 0) % SLOTS) * ARGUMENTS;
}

export type Kernel = (...numbers: readonly number[]) => void;

/** Takes calls and makes them until there are none. A call that throws counts as done, with its message kept. */
export function takeCalls(queue: Queue, kernels: readonly Kernel[], thread: number): void {
  const { words } = queue;
  for (;;) {
    const ticket = Atomics.load(words, NEXT);
    if (ticket === Atomics.load(words, END)) return;
    if (Atomics.compareExchange(words, NEXT, ticket, (ticket + 1) | 0) !== ticket) continue;
    try {
      call(queue, kernels, thread, ticket);
    } catch (error) {
      keepFailure(queue, error);
    }
    const done = (Atomics.add(words, DONE, 1) + 1) | 0;
    if (done === Atomics.load(words, END)) Atomics.notify(words, DONE);
  }
}

function call({ words, calls }: Queue, kernels: readonly Kernel[], thread: number, ticket: number): void {
  const at = slot(ticket);
  const numbers = Array.from(calls.subarray(at + 1, at + 1 + calls[at]!));
  const bytes = words[WORK_BYTES]!;
  if (bytes > 0) numbers[numbers.length - 1] = (words[WORK]! >>> 0) + thread * bytes;
  kernels[words[KERNEL]!]!(...numbers);
}

function keepFailure({ words, failure }: Queue, error: unknown): void {
  const text = new TextEncoder().encode(String(error)).subarray(0, FAILURE_BYTES);
  failure.set(text);
  Atomics.store(words, FAILED, text.length);
}

/** For a thread that only helps: makes calls for ever, and sleeps while there are none. */
export function serve(queue: Queue, kernels: readonly Kernel[], thread: number): never {
  const { words } = queue;
  for (;;) {
    const seen = Atomics.load(words, END);
    takeCalls(queue, kernels, thread);
    let spins = SPINS;
    while (spins > 0 && Atomics.load(words, END) === seen) spins -= 1;
    if (spins === 0) Atomics.wait(words, END, seen);
  }
}

/**
 * For the thread that offers, after its own `takeCalls`: waits for calls that others took.
 *
 * @returns  false when for `patienceMs` no call was done
 * @throws   Error with the message of a call that threw
 */
export function waitForCalls({ words, failure }: Queue, patienceMs: number): boolean {
  const end = words[END]!;
  let spins = SPINS;
  while (spins > 0 && Atomics.load(words, DONE) !== end) spins -= 1;
  for (let done; (done = Atomics.load(words, DONE)) !== end;)
    if (Atomics.wait(words, DONE, done, patienceMs) === 'timed-out') return false;
  if (words[FAILED]! > 0) throw new Error(new TextDecoder().decode(failure.slice(0, words[FAILED])));
  return true;
}

/** Functions of the module, in an order that is the same on every thread. */
export function kernelNames(exports: object): string[] {
  return Object.keys(exports).sort();
}
