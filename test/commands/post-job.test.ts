import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jobFromFlags } from '../../src/commands/job-flags.js';
import { isNmktError } from '../../src/errors.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

describe('job flags', () => {
  it.each([
    [{ learningRate: 'fast' }, 'learningRate: number', '"fast"'],
    [{ rounds: '0' }, 'rounds: number to be >=1', '0'],
    [{ rounds: '1.5' }, 'rounds: int', '1.5'],
    [{ hidden: '8,x' }, 'hidden.1: number', '[8,"x"]'],
    [{ rail: 'gold' }, 'rail: one of "instalments"|"key-sale"|"none"', '"gold"'],
  ])('that are wrong are shown as typed: %o', (flags, expected, got) => {
    try {
      jobFromFlags({}, flags);
      expect.unreachable();
    } catch (error) {
      expect(isNmktError(error, 'bad-job')).toBe(true);
      expect(error).toMatchObject({ message: 'the job is not usable', expected, got });
    }
  });

  it('win over the file, and one of epochs and local steps over the other', () => {
    expect(jobFromFlags({ epochs: 3, rounds: 2 }, { localSteps: '7', rounds: '4' })).toMatchObject({
      localSteps: 7,
      rounds: 4,
    });
    expect(jobFromFlags({ localSteps: 3 }, { epochs: '7' })).not.toHaveProperty('localSteps');
  });
});

it('a job file with a wrong field is named', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'job.json'), '{"rouns":3}');
  const { status, stderr } = await runNmkt(['publish-dataset', 'a.csv', '--job', 'job.json'], { cwd: folder });
  expect(status).toBe(2);
  expect(stderr).toContain(
    'error: the job file job.json is not usable\n  expected fields: known fields only, got rouns',
  );
});
