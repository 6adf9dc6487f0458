import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The NIP-47 SDK prints on every failure and on connecting, with answers in full (a preimage may be inside). What is
 * printed from within `quietly`, also later from its timers and sockets, goes nowhere; other output is untouched.
 */
const quiet = new AsyncLocalStorage<true>();
let isInstalled = false;

export function quietly<T>(call: () => T): T {
  if (!isInstalled) install();
  return quiet.run(true, call);
}

function install(): void {
  isInstalled = true;
  for (const name of ['debug', 'log', 'info', 'warn', 'error'] as const) {
    const print = globalThis.console[name].bind(globalThis.console);
    globalThis.console[name] = (...args: unknown[]): void => {
      if (!quiet.getStore()) print(...args);
    };
  }
}
