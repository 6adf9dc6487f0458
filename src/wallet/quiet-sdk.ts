import { AsyncLocalStorage } from 'node:async_hooks';

type Print = (...args: unknown[]) => void;

/**
 * The NIP-47 SDK prints on every failure and on connecting, with answers in full (a preimage may be inside). What is
 * printed from within `quietly`, also later from its timers and sockets, goes nowhere; other output is untouched.
 */
const quiet = new AsyncLocalStorage<true>();
const wrapped = new WeakSet<Print>();

export function quietly<T>(call: () => T): T {
  // Each time: whoever replaced the console since then has replaced the filter too.
  for (const name of ['debug', 'log', 'info', 'warn', 'error'] as const) wrap(name);
  return quiet.run(true, call);
}

function wrap(name: 'debug' | 'log' | 'info' | 'warn' | 'error'): void {
  const target: Record<typeof name, Print> = globalThis.console;
  const print = target[name];
  if (wrapped.has(print)) return;
  const filter: Print = (...args) => {
    if (!quiet.getStore()) print.apply(target, args);
  };
  wrapped.add(filter);
  target[name] = filter;
}
