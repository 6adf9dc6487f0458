import { expect } from 'vitest';
import { ERRORS, isNmktError } from '../../src/errors.js';
import { Random } from './mutate.js';
import { plain } from './plain.js';
import type { Target } from './target.js';

const MAX_MS = 100;
/** While functions are counted, code runs unoptimised: only a hang is told then. */
export const slow = { factor: 1 };
/** Samples are below 100 kB, and what a limit lets through is below 1 MiB. */
const MAX_BUFFERS = 16 << 20;

export type Outcome = { readonly kind: 'taken'; readonly value: unknown } | { readonly kind: 'refused' };

/** @throws whatever is no refusal that the target may give */
async function outcomeOf(reader: Target, input: unknown): Promise<Outcome> {
  try {
    return { kind: 'taken', value: await reader.run(input) };
  } catch (error) {
    const { name } = error as Error;
    if (!isNmktError(error)) {
      if (!(reader.codes as readonly string[]).includes(name)) throw error;
      return { kind: 'refused' };
    }
    expect(reader.codes).toContain(error.code);
    expect(Object.keys(ERRORS)).toContain(error.code);
    expect(error.remedy).not.toBe('');
    return { kind: 'refused' };
  }
}

/** Of this process, whatever else the machine does meanwhile. */
export const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/**
 * Crashes, wrong errors, too much time of the processor (the clock on the wall belongs to other processes too), too many
 * bytes, or another value than the reference has.
 */
export async function checkInput(reader: Target, input: unknown): Promise<Outcome['kind']> {
  const [bytes, startedAt] = [process.memoryUsage().arrayBuffers, cpuMs()];
  const outcome = await outcomeOf(reader, input);
  let ms = cpuMs() - startedAt;
  expect(process.memoryUsage().arrayBuffers - bytes).toBeLessThan(MAX_BUFFERS);
  if (outcome.kind === 'taken' && reader.reference !== undefined) compare(outcome.value, await reader.reference(input));
  // The first run may pay for compiling, or for collecting what others left.
  for (let again = 0; again < 3 && ms > MAX_MS; again++) {
    const from = cpuMs();
    await outcomeOf(reader, input);
    ms = cpuMs() - from;
  }
  expect(ms).toBeLessThan(MAX_MS * slow.factor);
  return outcome.kind;
}

function compare(got: unknown, wanted: unknown): void {
  if (wanted === undefined) return;
  const choices = typeof wanted === 'object' && wanted !== null && 'anyOf' in wanted ? wanted.anyOf : undefined;
  if (Array.isArray(choices)) expect(choices.map(plain)).toContainEqual(plain(got));
  else expect(plain(got), 'the value of the product, and that of the reference').toEqual(plain(wanted));
}

/** @returns how many of the inputs were taken @throws Error with the seed and the input */
export async function checkMany(reader: Target, count: number): Promise<number> {
  let taken = 0;
  for (let number = 0; number < count; number++) {
    const seed = `${reader.name}/${number}`;
    try {
      if ((await checkInput(reader, await reader.make(new Random(seed)))) === 'taken') taken++;
    } catch (error) {
      const input = await reader.make(new Random(seed));
      throw new Error(`seed "${seed}", input ${show(input)}\n${(error as Error).stack}`, { cause: error });
    }
  }
  return taken;
}

function show(input: unknown): string {
  try {
    const text =
      input instanceof Uint8Array ? `bytes ${Buffer.from(input).toString('hex')}` : JSON.stringify(plain(input));
    return text.length > 3_000 ? `${text.slice(0, 3_000)}… (${text.length} characters)` : text;
  } catch (error) {
    return `that cannot be shown: ${(error as Error).message}`;
  }
}
