import type { Command } from 'commander';
import { NmktError } from '../errors.js';

/** Which kind of job a command is about. */
export const MODES = ['federated', 'arena', 'alliance'] as const;
export type Mode = (typeof MODES)[number];

export function addModeFlag(program: Command, about: string): void {
  program.option('--mode <mode>', `${about} (default federated)`);
}

/** @param file  a job file, which may say it too; the flag wins. @throws NmktError `bad-usage` */
export function readMode(
  options: Readonly<Record<string, unknown>>,
  file: Readonly<Record<string, unknown>> = {},
): Mode {
  const said = options['mode'] ?? file['mode'] ?? 'federated';
  const found = MODES.find((mode) => mode === said);
  if (found !== undefined) return found;
  throw new NmktError('bad-usage', 'that is no mode of a job', {
    expected: MODES.join(', '),
    got: JSON.stringify(said).slice(0, 32),
    remedy: '--mode federated',
  });
}
