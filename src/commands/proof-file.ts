import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { NmktError } from '../errors.js';
import type { NostrEvent } from '../ports.js';
import type { Context } from './command.js';

/** Files of signed events that anybody checks offline. */

/** One a line, each once, whatever it proves. */
export function asLines(events: readonly NostrEvent[]): string {
  const each = new Map(events.map((event) => [event.id, event]));
  return [...each.values()].map((event) => `${JSON.stringify(event)}\n`).join('');
}

/** @throws NmktError `bad-usage` where the file cannot be written, or is there and not to be replaced */
export async function saveProofs(file: string, events: readonly NostrEvent[], isForced: boolean): Promise<void> {
  const path = resolve(file);
  try {
    await writeFile(path, asLines(events), { flag: isForced ? 'w' : 'wx' });
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new NmktError('bad-usage', `${path} cannot be written`, {
      expected: 'a new file in a folder that can be written to',
      got: code,
      remedy: code === 'EEXIST' ? 'add --force, or name another file' : 'name another file',
    });
  }
}

/** Of `nmkt <command> verify FILE`; no relay is asked. @throws NmktError `bad-usage` for another verb, as the reader of the file */
export async function eventsToVerify(
  { deps }: Pick<Context, 'deps'>,
  command: 'receipt' | 'sale',
  [verb, file]: readonly string[],
): Promise<readonly NostrEvent[]> {
  if (verb !== 'verify')
    throw new NmktError('bad-usage', `nmkt ${command} has no ${verb}`, {
      expected: 'verify',
      got: verb!,
      remedy: `nmkt ${command} verify ${file}`,
    });
  return (await (await deps.openDump(file!)).fetch([{}])).events;
}
