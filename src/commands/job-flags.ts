import { readFile, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { isNmktError, NmktError } from '../errors.js';
import { jobFields, parseJobFile, type JobField, type JobFile } from '../roles/job-file.js';

/** Every field of the job file is a flag of the same name in kebab case; a flag wins over the file. */

const MAX_JOB_FILE = 65_536;
const NUMBERS = new Set([
  'rounds',
  'trainers',
  'shardsPerTrainer',
  'newKeyShare',
  'epochs',
  'localSteps',
  'batch',
  'learningRate',
  'momentum',
  'weightDecay',
  'clipNorm',
  'proximal',
  'attackers',
  'outerLearningRate',
  'outerMomentum',
  'outerBeta1',
  'outerBeta2',
  'outerTau',
  'keep',
  'feedback',
  'warmupSteps',
  'maxPriceSats',
  'validators',
  'validatorFeeSats',
  'budgetSats',
  'payoutFloorSats',
  'quorum',
  'maxReplacements',
  'maxHolders',
  'minBidPow',
  'trainerStakeSats',
  'validatorStakeSats',
  'delegatedShare',
  'maxDelegated',
  'spotRate',
  'segments',
  'potSats',
  'proposers',
  'minVoters',
  'members',
  'tolerance',
  ...['interimShare', 'validatorShare', 'gamma', 'q', 'bestStakes', 'bestValidators', 'lambda', 'seats'],
  ...['submissionsPerDay', 'maxModelBytes'],
]);

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** @param only  names of the fields that get a flag; default all */
export function addJobFlags(program: Command, only?: readonly string[]): void {
  addFieldFlags(
    program,
    jobFields().filter(({ name }) => only?.includes(name) !== false),
  );
}

/** As `addJobFlags`, of a job of another kind. */
export function addFieldFlags(program: Command, fields: readonly JobField[]): void {
  for (const { name, fallback, about } of fields) {
    const shown =
      fallback === null || fallback === ''
        ? ''
        : ` (default ${JSON.stringify(fallback)
            .replace(/[[\]"]/g, '')
            .replaceAll(',', ', ')})`;
    const sentence = about.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, (field) => `--${kebab(field)}`);
    if (name === 'strictLoss') program.option('--strict-loss', sentence);
    else program.option(`--${kebab(name)} <${valueName(name, fallback)}>`, `${sentence}${shown}`);
  }
}

/** By its default, where it has one. */
const isNumber = (name: string, fallback: unknown): boolean => typeof fallback === 'number' || NUMBERS.has(name);

function valueName(name: string, fallback: unknown): string {
  if (isNumber(name, fallback)) return 'n';
  if (typeof fallback === 'string' && /^\d+[smhd]$/.test(fallback)) return 'duration';
  return name === 'hidden' ? 'widths' : 'value';
}

/** @throws NmktError `bad-job` */
export async function readJobFile(path: string): Promise<Record<string, unknown>> {
  const fail = (got: string, cause?: unknown): never => {
    throw new NmktError('bad-job', `the job file ${path} cannot be read`, {
      expected: 'a JSON object',
      got,
      remedy: 'nmkt post-job --print-defaults',
      cause,
    });
  };
  let text = '';
  try {
    const { size } = await stat(path);
    if (size > MAX_JOB_FILE) return fail(`${size} bytes`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isNmktError(error)) throw error;
    fail((error as Error).message, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail((error as Error).message, error);
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : fail(Array.isArray(value) ? 'a list' : String(value).slice(0, 40));
}

/** File and flags together, checked. */
export function jobFromFlags(file: Record<string, unknown>, options: Readonly<Record<string, unknown>>): JobFile {
  return parseJobFile(mergeFlags(jobFields(), file, options), 'the job');
}

/** @throws NmktError `bad-usage` for two that exclude each other */
export function mergeFlags(
  fields: readonly JobField[],
  file: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...file };
  for (const { name, fallback } of fields) {
    const given = options[name];
    if (given === undefined) continue;
    merged[name] = fromText(name, fallback, given);
    if (name === 'epochs') delete merged['localSteps'];
    if (name === 'localSteps') delete merged['epochs'];
  }
  if (options['epochs'] !== undefined && options['localSteps'] !== undefined)
    throw new NmktError('bad-usage', '--epochs and --local-steps exclude each other', {
      expected: 'one of the two',
      got: 'both',
      remedy: 'leave one out',
    });
  return merged;
}

function fromText(name: string, fallback: unknown, given: unknown): unknown {
  if (typeof given !== 'string') return given;
  if (name === 'hidden') return given.split(',').map(numberOrText);
  return isNumber(name, fallback) ? numberOrText(given) : given;
}

/** What is no number stays as it was typed, so that the error can show it. */
function numberOrText(text: string): number | string {
  const number = Number(text);
  return text.trim() === '' || Number.isNaN(number) ? text : number;
}
