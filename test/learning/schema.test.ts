import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyLabel,
  applySchema,
  decimal9,
  parseDecimal9,
  parseNumber,
  stdDev9,
  targetValue,
} from '../../src/learning/schema.js';
import type { DataSchema } from '../../src/learning/types.js';

const table: DataSchema = {
  ...{ task: 'classification', shape: [4], inputs: 4, dtype: 'F32', scale: 1 },
  ...{ outputs: 3, label: 'kind', classes: ['1', '2', '10'] },
  columns: [
    { name: 'age', kind: 'numeric', mean: '40.000000000', stdDev: '10.000000000', fill: '50.000000000' },
    { name: 'city', kind: 'categorical', values: ['', 'Oslo', 'Rome'] },
  ],
};
const target = { name: 'price', mean: '100.000000000', stdDev: '20.000000000' };
const regression: DataSchema = { ...table, task: 'regression', outputs: 1, label: 'price', target };

describe('decimals of nine places', () => {
  it('writes and reads one spelling per value', () => {
    expect(decimal9(-0.125)).toBe('-0.125000000');
    expect(decimal9(-1e-12)).toBe('0.000000000');
    expect(decimal9(123456789012345)).toBe('123456789012345.000000000');
    fc.assert(
      fc.property(fc.double({ min: -1e14, max: 1e14, noNaN: true }), (x) => {
        expect(decimal9(parseDecimal9(decimal9(x)))).toBe(decimal9(x));
        expect(Math.abs(parseDecimal9(decimal9(x)) - x)).toBeLessThanOrEqual(5.0001e-10);
      }),
    );
  });

  it('refuses other spellings and numbers too large', () => {
    for (const text of [
      '1',
      '1.0',
      '01.000000000',
      '-0.000000000',
      '+1.000000000',
      '1.0000000000',
      '1e3',
      ' 1.000000000',
    ]) {
      expect(() => parseDecimal9(text)).toThrow(expect.objectContaining({ code: 'bad-dataset' }));
    }
    for (const value of [NaN, Infinity, 1e15, -1e21]) expect(() => decimal9(value)).toThrow(/too large/);
  });

  it('never standardises by zero', () => {
    expect(stdDev9(0)).toBe('1.000000000');
    expect(stdDev9(1e-11)).toBe('1.000000000');
    expect(stdDev9(2)).toBe('2.000000000');
  });
});

describe('parseNumber', () => {
  it('reads decimal numbers and nothing else', () => {
    expect([' 1.5 ', '-2', '+.5', '3.', '1e-3'].map(parseNumber)).toEqual([1.5, -2, 0.5, 3, 0.001]);
    for (const text of ['', ' ', '0x10', 'Infinity', 'NaN', '1,5', '1 2', '1e999', '12kg', '-']) {
      expect(parseNumber(text)).toBeUndefined();
    }
  });
});

describe('applySchema', () => {
  it('standardises numbers and spreads categories: (60 - 40) / 10 = 2, Rome is the third of three', () => {
    expect([...applySchema(table, ['60', 'Rome'])]).toEqual([2, 0, 0, 1]);
  });

  it('fills missing numbers, and knows a missing category only if it was seen', () => {
    expect([...applySchema(table, ['NA', ' Oslo '])]).toEqual([1, 0, 1, 0]);
    expect([...applySchema(table, ['40', 'n/a'])]).toEqual([0, 1, 0, 0]);
    expect([...applySchema(table, ['40', 'Paris'])]).toEqual([0, 0, 0, 0]);
  });

  it('refuses text in a numeric column with the line, rows of another length, and numbers beyond float32', () => {
    expect(() => applySchema(table, ['old', 'Rome'], 'line 7')).toThrow(/line 7: column "age"/);
    expect(() => applySchema(table, ['1'])).toThrow(expect.objectContaining({ expected: '2 columns', got: '1' }));
    expect(() => applySchema(table, ['1e300', 'Rome'])).toThrow(/column "age"/);
  });
});

describe('applyLabel', () => {
  it('finds the class by its text, or by value', () => {
    expect(['1', ' 2 ', '10', '2.0', '1e1'].map((cell) => applyLabel(table, cell))).toEqual([0, 1, 2, 1, 2]);
    expect(() => applyLabel(table, '3', 'line 4')).toThrow(/line 4: column "kind"/);
  });

  it('standardises a target, and targetValue undoes it', () => {
    expect(applyLabel(regression, '130')).toBe(1.5);
    expect(targetValue(regression, 1.5)).toBe(130);
    expect(() => applyLabel(regression, 'cheap')).toThrow(/column "price"/);
  });
});
