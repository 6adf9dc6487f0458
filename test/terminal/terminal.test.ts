import { describe, expect, it } from 'vitest';
import { createStyle, wantsColor, withoutControls } from '../../src/terminal/color.js';
import { toJsonLine } from '../../src/terminal/json.js';
import { sparkPlot } from '../../src/terminal/plot.js';
import { keepSecret, redact } from '../../src/terminal/redact.js';
import { table } from '../../src/terminal/table.js';

describe('colour', () => {
  it('needs a terminal, and any of NO_COLOR, TERM=dumb or a flag turns it off', () => {
    const on = { isTerminal: true, off: false, env: {} };
    expect(wantsColor(on)).toBe(true);
    expect(wantsColor({ ...on, env: { NO_COLOR: '' } })).toBe(true);
    for (const no of [{ isTerminal: false }, { off: true }, { env: { NO_COLOR: '0' } }, { env: { TERM: 'dumb' } }])
      expect(wantsColor({ ...on, ...no })).toBe(false);
    expect(createStyle(false).red('x')).toBe('x');
    expect(createStyle(true).red('x')).toBe('\x1b[31mx\x1b[39m');
  });

  it('cannot be smuggled in by strangers', () => {
    expect(withoutControls('a\x1b[2Jb\r\x07\nc\td\x9b')).toBe('a�[2Jb��\nc\td�');
  });
});

describe('redaction', () => {
  const secret = 'd'.repeat(64);
  it('hides private keys of NIP-19 and NIP-49 and the secret of a NIP-47 URI', () => {
    expect(redact('key nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5.')).toBe('key nsec1[secret].');
    expect(redact(`nostr+walletconnect://ab?relay=ws://x&secret=${secret}&lud16=a@b`)).toBe(
      'nostr+walletconnect://ab?relay=ws://x&secret=[secret]&lud16=a@b',
    );
    expect(redact(encodeURIComponent(`?secret=${secret}`))).toBe('%3Fsecret%3D[secret]');
  });

  it('hides the secret in the address of a bunker, whatever it looks like, also inside another address', () => {
    const address = `bunker://ab?relay=wss://a.example&secret=`;
    expect(redact(`"${address}no-hex!&x=1"`)).toBe(`"${address}[secret]&x=1"`);
    expect(redact(encodeURIComponent(`${address}no-hex`))).toBe(`${encodeURIComponent(address)}[secret]`);
    expect(redact('a secret = nothing')).toBe('a secret = nothing');
  });

  it('hides what this process knows to be secret, and leaves ids alone', () => {
    expect(redact(`id ${secret}`)).toBe(`id ${secret}`);
    keepSecret(secret);
    expect(redact(`{"a":"${secret}","b":"${secret}"}`)).toBe('{"a":"[secret]","b":"[secret]"}');
  });
});

describe('a JSON line', () => {
  it('writes msat as an integer, and refuses one that readers would round', () => {
    expect(toJsonLine({ paidMsat: 900_000n, at: 1 })).toBe('{"paidMsat":900000,"at":1}');
    expect(toJsonLine(2n ** 53n - 1n)).toBe('9007199254740991');
    expect(() => toJsonLine({ msat: 2n ** 53n })).toThrow(expect.objectContaining({ code: 'too-large' }));
  });
});

describe('a table', () => {
  it('aligns text left and numbers right', () => {
    expect(
      table([
        ['trainer', 'rounds', 'sats'],
        ['a', 5, 1500n],
        ['longer', 10, '75'],
      ]),
    ).toBe(['trainer  rounds  sats', 'a             5  1500', 'longer       10    75'].join('\n'));
    expect(table([])).toBe('');
  });
});

describe('a plot', () => {
  it('puts the highest value on top and names both ends', () => {
    const plot = sparkPlot([0, 0.5, 1], { height: 3, width: 20, format: (value) => value.toFixed(1), axis: 'round' });
    expect(plot).toBe(
      ['1.0 |            *', '    |      *', '0.0 |*', '    +-------------', '     1           3  round'].join('\n'),
    );
  });

  it('fits its width with any number of values, gaps and constants included', () => {
    const series = [[1], [2, 2], [NaN, 1, Infinity, 3], Array.from({ length: 1000 }, (_, i) => Math.sin(i / 90))];
    for (const values of series)
      for (const line of sparkPlot(values, { width: 60 }).split('\n')) expect(line.length).toBeLessThanOrEqual(60);
    expect(sparkPlot([])).toBe('');
    expect(sparkPlot([NaN])).toBe('');
  });
});
