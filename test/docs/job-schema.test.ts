import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseDuration } from '../../src/roles/duration.js';
import { jobFields, jobFileSchema, parseJobFile } from '../../src/roles/job-file.js';
import { isNmktError } from '../../src/errors.js';

const path = new URL('../../docs/job.schema.json', import.meta.url);

function jsonSchema(): string {
  const schema = z.toJSONSchema(jobFileSchema, { io: 'input' });
  return `${JSON.stringify({ ...schema, title: 'nmkt job file' }, undefined, 2)}\n`;
}

describe('the job file', () => {
  it('has a JSON Schema in the package that equals the one the parser uses (UPDATE_SCHEMA=1 writes it)', async () => {
    if (process.env['UPDATE_SCHEMA'] === '1') await writeFile(path, jsonSchema());
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(JSON.parse(jsonSchema()));
  });

  it('gives every field a sentence', () => {
    for (const { name, about } of jobFields()) expect(about.length, name).toBeGreaterThan(10);
  });

  it.each([
    [{ rouds: 3 }, 'rouds'],
    [{ rounds: 0 }, 'rounds'],
    [{ rounds: 1.5 }, 'rounds'],
    [{ model: 'gpt9' }, 'model'],
    [{ roundTimeout: 'soon' }, 'roundTimeout'],
    [{ acceptedEngines: 'cuda' }, 'acceptedEngines'],
    [{ epochs: 1, localSteps: 5 }, 'epochs'],
    [{ learningRate: -1 }, 'learningRate'],
    [[], 'fields'],
    [null, 'fields'],
  ])('refuses %j and names the field', (file, field) => {
    try {
      parseJobFile(file, 'the job');
      expect.unreachable();
    } catch (error) {
      if (!isNmktError(error, 'bad-job')) throw error;
      expect(`${error.expected} ${error.got}`).toContain(field);
    }
  });

  it('reads durations in seconds, minutes, hours and days', () => {
    expect(['90', '90s', '15m', '2h', '7d'].map((text) => parseDuration(text, '--x'))).toEqual([
      90, 90, 900, 7200, 604_800,
    ]);
    for (const text of ['', '0s', '1w', '-5s', '1.5h', '400d']) expect(() => parseDuration(text, '--x')).toThrow();
  });
});
