import { describe, expect, it } from 'vitest';
import { folded } from '../../src/terminal/fold.js';

const WIDTH = 40;
const fold = (text: string) => folded(text, WIDTH).split('\n');

describe('help on a narrow terminal', () => {
  it('leaves what fits as it is', () => {
    expect(folded('a  b\n\n  c', WIDTH)).toBe('a  b\n\n  c');
  });

  it('goes on below the second column', () => {
    expect(fold('  key      the npub, the pubkey and the form of it')).toEqual([
      '  key      the npub, the pubkey and the',
      '           form of it',
    ]);
  });

  it('goes on below the first word where there is no column, or one that leaves no room', () => {
    expect(fold('  one two three four five six seven eight nine')).toEqual([
      '  one two three four five six seven',
      '  eight nine',
    ]);
    expect(fold(`${'x'.repeat(30)}  this is what it means`)).toEqual([`${'x'.repeat(30)}  this is`, 'what it means']);
  });

  it('folds a call as a shell reads it, never inside of quotes', () => {
    expect(fold("$ nmkt predict 'my model of irises' examples/iris.csv --limit 3")).toEqual([
      "$ nmkt predict 'my model of irises' \\",
      '    examples/iris.csv --limit 3',
    ]);
    expect(fold('$ nmkt serve-trainer --settings sb/trainer-1.json   # in another shell')).toEqual([
      '$ nmkt serve-trainer --settings \\',
      '    sb/trainer-1.json',
      '    # in another shell',
    ]);
  });

  it('keeps a word that is longer than a line whole', () => {
    expect(fold(`see ${'x'.repeat(50)} there`)).toEqual(['see', 'x'.repeat(50), 'there']);
  });
});
