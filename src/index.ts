/**
 * The library: every command is also a call. `(await loadCommand(name)).run(args, options, context)` returns the value
 * that `nmkt name --json` prints; `createDeps` makes the adapters the context needs.
 */
export { createDeps, type Deps, type DepsInput } from './deps.js';
export { commands, loadCommand } from './commands/index.js';
export type { CommandModule, Context, Outcome } from './commands/command.js';
export { ERRORS, isNmktError, NmktError, type ErrorCode } from './errors.js';
export type * from './ports.js';
export type * from './learning/types.js';
export type { EventId, Pubkey, Sha256 } from './hash.js';
