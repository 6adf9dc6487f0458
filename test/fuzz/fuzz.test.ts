import { describe, expect, it } from 'vitest';
import { ERRORS, isNmktError } from '../../src/errors.js';
import { fileTargets } from './file-targets.js';
import { Random } from './mutate.js';
import type { Target } from './target.js';
import { wireTargets } from './wire-targets.js';

/** Inputs in all; more with NMKT_FUZZ=N. */
const TOTAL = Number(process.env['NMKT_FUZZ'] ?? 20_000);
const MAX_MS = 100;
/** Samples are below 100 kB, and what a limit lets through is below 1 MiB. */
const MAX_BUFFERS = 16 << 20;

const targets = [...wireTargets, ...fileTargets];
const shares = targets.reduce((sum, { share = 1 }) => sum + share, 0);
const countOf = ({ share = 1 }: Target): number => Math.ceil((TOTAL * share) / shares);

/** @returns milliseconds; the first of several runs may pay for compiling, or for another process */
async function timed(reader: Target, input: unknown): Promise<number> {
  const startedAt = performance.now();
  try {
    await reader.run(input);
  } catch (error) {
    if (!isNmktError(error)) throw error;
    expect(Object.keys(ERRORS)).toContain(error.code);
    expect(error.code).not.toBe('internal-error');
    expect(error.remedy).not.toBe('');
  }
  return performance.now() - startedAt;
}

async function check(reader: Target, number: number): Promise<void> {
  const input = await reader.make(new Random(`${reader.name}/${number}`));
  const before = process.memoryUsage().arrayBuffers;
  let ms = await timed(reader, input);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MAX_BUFFERS);
  for (let again = 0; again < 3 && ms > MAX_MS; again++) ms = await timed(reader, input);
  expect(ms).toBeLessThan(MAX_MS);
}

describe('whatever comes from outside is read, or refused with a documented error, at once', () => {
  it.each(targets.map((reader) => [reader.name, reader] as const))(
    '%s',
    async (_, reader) => {
      for (let number = 0; number < countOf(reader); number++) {
        try {
          await check(reader, number);
        } catch (error) {
          const input = await reader.make(new Random(`${reader.name}/${number}`));
          const shown = JSON.stringify(input)?.slice(0, 300);
          throw new Error(`input ${number}: ${shown}\n${(error as Error).stack}`, { cause: error });
        }
      }
    },
    30_000 + TOTAL,
  );
});
