import { describe, expect, it } from 'vitest';
import { roundsCsv, type RoundRow } from '../../src/simulate/report.js';
import { roundsSvg } from '../../src/simulate/rounds-svg.js';

const row = (changes: Partial<RoundRow>): RoundRow => ({
  ...{ round: 1, accuracy: 0.5, loss: 1.25, accepted: 7, rejected: 3, uploadBytes: 1_000, relayBytes: 20_000 },
  ...{ events: 59, paidSats: 2_100, honestPaidSats: 2_000, attackerPaidSats: 100, virtualSeconds: 0.4 },
  ...changes,
});

describe('rounds.csv', () => {
  it('has the columns that the page promises, and nothing where nothing was measured', () => {
    expect(roundsCsv([row({}), row({ round: 2, accuracy: null, loss: null, accepted: 0, rejected: 10 })])).toBe(
      [
        'round,accuracy,loss,accepted,rejected,uploadBytes,relayBytes,events,paidSats,honestPaidSats,attackerPaidSats,virtualSeconds',
        '1,0.5,1.25,7,3,1000,20000,59,2100,2000,100,0.4',
        '2,,,0,10,1000,20000,59,2100,2000,100,0.4',
        '',
      ].join('\n'),
    );
  });
});

describe('rounds.svg', () => {
  it('puts values where their axes say: 0 at the bottom, 1 at the top, void rounds as gaps', () => {
    const rows = [0, 1, null, 0.5].map((accuracy, at) => row({ round: at + 1, accuracy }));
    const svg = roundsSvg(rows, 'a & b', 0.1);
    // 44 is the top of the field, 136 its bottom, 62 its left, 286 its right.
    expect(svg).toContain('<path class="line one" d="M62 136L136.67 44M286 90"/>');
    expect(svg).toContain('>chance<');
    expect(svg).toContain('<title>a &amp; b</title>');
  });

  it('shows the loss of a regression, without a chance line', () => {
    const svg = roundsSvg([row({ accuracy: null })], 'x', null);
    expect(svg).toContain('>loss<');
    expect(svg).not.toContain('>chance<');
  });

  it('is drawn when nothing was paid and nothing measured', () => {
    const nothing = { accuracy: null, loss: null, honestPaidSats: 0, attackerPaidSats: 0 };
    expect(roundsSvg([row(nothing)], 'x', 0.5)).not.toMatch(/NaN|Infinity/);
  });
});
