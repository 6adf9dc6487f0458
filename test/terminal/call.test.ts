import { describe, expect, it } from 'vitest';
import { callOf, carriedFlags, typable } from '../../src/terminal/call.js';

const id = 'a'.repeat(64);
const carried = [
  ['--settings', 'sb/customer.json'],
  ['--home', 'my home'],
] as const;

describe('a suggested call', () => {
  it('gets the flags of this run that say who runs it, at its end', () => {
    expect(typable(`nmkt collect-model ${id} --out model`, carried, {})).toBe(
      `nmkt collect-model ${id} --out model --settings sb/customer.json --home 'my home'`,
    );
    expect(typable('nmkt whoami shows the current one', [['--home', 'c']], {})).toBe(
      'nmkt whoami --home c shows the current one',
    );
    expect(typable(`nmkt predict m FILE, or nmkt audit ${id}`, [['--home', 'c']], {})).toBe(
      `nmkt predict m FILE, or nmkt audit ${id} --home c`,
    );
  });

  it('stays as it is where the flags say nothing or are there', () => {
    for (const text of [
      'nmkt predict model FILE',
      'nmkt sandbox --dir sb',
      'nmkt publish-dataset --help, or nmkt serve-trainer --help',
      'nmkt post-job --print-defaults',
      'chmod 600 key',
    ])
      expect(typable(text, carried, {})).toBe(text);
    expect(typable('nmkt status --home d JOB', [['--home', 'c']], {})).toBe('nmkt status --home d JOB');
  });

  it('goes through npx when this run came that way', () => {
    const env = { npm_command: 'exec', npm_lifecycle_event: 'npx' };
    expect(typable('nmkt predict a b, or nmkt demo', [], env)).toBe('npx nmkt predict a b, or npx nmkt demo');
    expect(typable('nmkt demo', [], { npm_command: 'test' })).toBe('nmkt demo');
  });
});

it('the flags to carry are found with their values, as typed, several times where they repeat', () => {
  expect(
    carriedFlags(['--json', '--home', 'c', 'status', '--relay=wss://a', '--relay', 'wss://b', '--out', 'x']),
  ).toEqual([
    ['--home', 'c'],
    ['--relay', 'wss://a'],
    ['--relay', 'wss://b'],
  ]);
  expect(carriedFlags(['--home'])).toEqual([]);
});

it('a call is quoted for a shell where it must be', () => {
  expect(callOf(['status', "it's", 'a=b'])).toBe("nmkt status 'it'\\''s' a=b");
});
