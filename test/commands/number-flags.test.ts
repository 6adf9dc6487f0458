import { expect, it } from 'vitest';
import { mergeFlags } from '../../src/commands/job-flags.js';
import { FIELDS } from '../../src/commands/mode-flags.js';

it.each(Object.entries(FIELDS))('flags of a job of mode %s are numbers where their fields are', (_, fieldsOf) => {
  const fields = fieldsOf().filter(({ fallback }) => typeof fallback === 'number');
  expect(fields.length).toBeGreaterThan(10);
  for (const field of fields) expect(mergeFlags([field], {}, { [field.name]: '0.5' })).toEqual({ [field.name]: 0.5 });
});
