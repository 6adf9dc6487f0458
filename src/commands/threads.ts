import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import type { EngineId } from '../learning/types.js';
import { rungOf } from '../market/auction.js';
import { optionalInteger } from './customer-ports.js';

/** How many threads the kernels of the wasm engine take. The bits do not depend on it, so nobody else needs to know. */
export function addThreadsFlag(program: Command): void {
  program.option('--threads <n>', 'threads of the wasm engine (default NMKT_THREADS, else 1): same bytes, sooner');
}

/** @throws NmktError `bad-usage` below 1 and above the processors of this machine */
export function readThreads(options: Readonly<Record<string, unknown>>): number {
  const most = availableParallelism();
  const flag = optionalInteger(options['threads'], '--threads', 1, most);
  return flag ?? optionalInteger(process.env['NMKT_THREADS'] || undefined, 'NMKT_THREADS', 1, most) ?? 1;
}

/** The engine in words, with its threads where it has several. */
export function engineWords(id: EngineId, threads: number): string {
  return threads > 1 && rungOf(id) === 'wasm' ? `${id}, ${threads} threads` : id;
}
