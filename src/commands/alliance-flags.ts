import type { Command } from 'commander';
import { NmktError } from '../errors.js';
import { allianceFields, parseAllianceFile, type AllianceFile } from '../roles/alliance/file.js';
import { jobFields } from '../roles/job-file.js';
import { addFieldFlags, mergeFlags } from './job-flags.js';

/** Fields of a job file that only an alliance has, as flags of post-job. */

const federated = new Set(jobFields().map(({ name }) => name));
const ownFields = () => allianceFields().filter(({ name }) => !federated.has(name) && name !== 'mode');

export function addAllianceFlags(program: Command): void {
  addFieldFlags(
    program,
    ownFields().map((field) => ({ ...field, about: `alliance: ${field.about}` })),
  );
  program
    .option('--like <file>', 'alliance: a file like the data of the members; how its rows become numbers is the job’s')
    .option('--label <column>', 'alliance: the column of --like to predict, by name or 0-based number');
}

const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** @throws NmktError `bad-usage` for flags of an alliance in a job of another mode */
export function requireNoAllianceFlags(options: Readonly<Record<string, unknown>>): void {
  const given = [...ownFields().map(({ name }) => name), 'like', 'label'].find((name) => options[name] !== undefined);
  if (given === undefined) return;
  throw new NmktError('bad-usage', `${flagOf(given)} belongs to an alliance`, {
    expected: `${flagOf(given)} with --mode alliance`,
    got: 'another mode',
    remedy: `add --mode alliance, or leave out ${flagOf(given)}`,
  });
}

/** File and flags together, checked. @throws NmktError `bad-job`, `bad-usage` for flags that an alliance has not */
export function allianceFromFlags(
  file: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
): AllianceFile {
  const fields = allianceFields();
  const own = new Set(fields.map(({ name }) => name));
  const foreign = jobFields().find(({ name }) => !own.has(name) && options[name] !== undefined);
  if (foreign !== undefined)
    throw new NmktError('bad-usage', `an alliance has no ${flagOf(foreign.name)}`, {
      expected: 'flags of an alliance',
      got: flagOf(foreign.name),
      remedy: `leave out ${flagOf(foreign.name)}; nmkt post-job --mode alliance --print-defaults shows what it has`,
    });
  return parseAllianceFile(mergeFlags(fields, { ...file, mode: 'alliance' }, options), 'the alliance');
}
