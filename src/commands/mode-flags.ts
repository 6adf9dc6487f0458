import type { Command } from 'commander';
import { NmktError } from '../errors.js';
import { allianceFields, parseAllianceFile, type AllianceFile } from '../roles/alliance/file.js';
import { arenaFields, parseArenaFile, type ArenaFile } from '../roles/arena/file.js';
import { jobFields, type JobField } from '../roles/job-file.js';
import { addFieldFlags, mergeFlags } from './job-flags.js';
import type { Mode } from './job-mode.js';

/** Fields of a job file that not every mode has, as flags of post-job. */

export const FIELDS: Readonly<Record<Mode, () => readonly JobField[]>> = {
  federated: jobFields,
  arena: arenaFields,
  alliance: allianceFields,
};
/** Flags that are no field of the file. */
const FLAGS: Readonly<Record<Mode, readonly string[]>> = { federated: [], arena: [], alliance: ['like', 'label'] };
const MODES_WITH_POT = ['arena', 'alliance'] as const;

const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Those that federated jobs have not; each says whose it is. */
export function addModeFields(program: Command): void {
  const known = new Set(['mode', ...jobFields().map(({ name }) => name)]);
  const fields = new Map<string, JobField>();
  for (const mode of MODES_WITH_POT)
    for (const { name, fallback, about } of FIELDS[mode]()) {
      if (known.has(name)) continue;
      const before = fields.get(name);
      fields.set(
        name,
        before === undefined
          ? { name, fallback, about: `${mode}: ${about}` }
          : { ...before, about: `${before.about.split(': ', 1)[0]!}, ${mode}: ${about}` },
      );
    }
  addFieldFlags(program, [...fields.values()]);
  program
    .option('--like <file>', 'alliance: a file like the data of the members; how its rows become numbers is the job’s')
    .option('--label <column>', 'alliance: the column of --like to predict, by name or 0-based number');
}

/** @throws NmktError `bad-usage` for flags of other modes only */
export function requireOnlyFlagsOf(mode: Mode, options: Readonly<Record<string, unknown>>): void {
  const namesOf = (one: Mode) => [...FIELDS[one]().map(({ name }) => name), ...FLAGS[one]];
  const own = new Set(namesOf(mode));
  const modes = ['federated', ...MODES_WITH_POT] as const;
  for (const other of modes) {
    const given = namesOf(other).find((name) => name !== 'mode' && !own.has(name) && options[name] !== undefined);
    if (given === undefined) continue;
    const whose = modes.filter((one) => namesOf(one).includes(given)).map((one) => `--mode ${one}`);
    throw new NmktError('bad-usage', `${flagOf(given)} is not for this mode`, {
      expected: `flags of mode ${mode}`,
      got: `${flagOf(given)}, of ${whose.join(', ')}`,
      remedy: `leave it out, or add ${whose[0]!}; nmkt post-job --mode ${mode} --print-defaults shows what there is`,
    });
  }
}

/** File and flags together, checked. @throws NmktError `bad-job`, `bad-usage` */
export function allianceFromFlags(
  file: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
): AllianceFile {
  requireOnlyFlagsOf('alliance', options);
  return parseAllianceFile(mergeFlags(allianceFields(), { ...file, mode: 'alliance' }, options), 'the alliance');
}

/** File and flags together, checked. @throws NmktError `bad-job`, `bad-usage` */
export function arenaFromFlags(
  file: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
): ArenaFile {
  requireOnlyFlagsOf('arena', options);
  return parseArenaFile(mergeFlags(arenaFields(), { ...file, mode: 'arena' }, options), 'the arena');
}
