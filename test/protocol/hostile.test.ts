import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNmktError } from '../../src/errors.js';
import { foldJob } from '../../src/market/fold.js';
import { EVENT_TYPES, parseJobEvent, type JobEvent } from '../../src/protocol/events.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { parseJson } from '../../src/protocol/json.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { locatorHash, openLocator } from '../../src/protocol/locator.js';
import { decimalText, hyperParameters } from '../../src/protocol/model.js';
import { parseAs, type EventFile } from '../vectors/protocol-vectors.js';
import { readVectors, type EventVectors, type GrantVectors } from './vectors.js';

const files = [...Object.keys(EVENT_TYPES), 'snapshot', 'listing', 'artifact-listing', 'offer'] as EventFile[];
const valid = files.flatMap((name) =>
  readVectors<EventVectors>(name).valid.map(({ event }) => ({ name, event }) as const),
);

/** What JSON numbers, texts and shapes do harm elsewhere. */
const nasty = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, false, 0, -0, -1, 1.5, 1e21, 1e308, 2 ** 53, -(2 ** 53), 5e-324],
    ...['', '0', '-0', '00', '1e3', 'NaN', 'Infinity', '0x10', ' 1', '1 ', '١', '\u0000', '\ud800', '__proto__'],
    ...['a'.repeat(64), 'A'.repeat(64), 'g'.repeat(64), '9'.repeat(19), '9'.repeat(400), '='.repeat(400)],
    ...[[], {}, [[]], [null], { length: 1e9 }, { toString: 1 }, { constructor: null }, { then: {} }],
  ),
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>,
);

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

function replaceAt(value: unknown, path: Path, put: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return put;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = replaceAt(copy[key], rest, put);
  return copy;
}

const contentMutation = fc.constantFrom(...valid).chain(({ name, event }) => {
  const content: unknown = JSON.parse(event.content);
  return fc.tuple(fc.constantFrom(...pathsOf(content)), nasty).map(([path, put]) => ({
    name,
    event: { ...event, content: JSON.stringify(replaceAt(content, path, put)) ?? '' },
  }));
});

const textMutation = fc
  .tuple(fc.constantFrom(...valid), fc.nat(10_000), fc.nat(6), fc.string({ unit: 'binary', maxLength: 6 }))
  .map(([{ name, event }, at, remove, put]) => {
    const start = at % (event.content.length + 1);
    const content = event.content.slice(0, start) + put + event.content.slice(start + remove);
    return { name, event: { ...event, content } };
  });

const tagMutation = fc
  .tuple(
    fc.constantFrom(...valid),
    fc.nat(20),
    fc.array(
      fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('e', 'seq', 'prev', 'v', 't', 'phase', '1', '2', '-0')),
      {
        maxLength: 9,
      },
    ),
    fc.constantFrom('put', 'drop', 'add'),
  )
  .map(([{ name, event }, at, tag, how]) => {
    const i = at % event.tags.length;
    const tags =
      how === 'add'
        ? [tag, ...event.tags]
        : event.tags.flatMap((one, j) => (i !== j ? [one] : how === 'drop' ? [] : [tag]));
    return { name, event: { ...event, tags } };
  });

/** Parses, or says why not in one of the two documented ways, and soon: the fastest of four tries, as the machine is shared. */
function attempt(parse: () => unknown): 'parsed' | 'refused' {
  const slowMs: number[] = [];
  while (slowMs.length < 4) {
    const start = performance.now();
    const outcome = tryOnce(parse);
    const tookMs = performance.now() - start;
    if (tookMs < 100) return outcome;
    slowMs.push(tookMs);
  }
  throw new Error(`parsing took ${slowMs.join(', ')} ms`);
}

function tryOnce(parse: () => unknown): 'parsed' | 'refused' {
  try {
    parse();
    return 'parsed';
  } catch (error) {
    if (!isNmktError(error, 'bad-event') && !isNmktError(error, 'unsupported-version')) throw error;
    expect(error.remedy.length).toBeGreaterThan(0);
    expect(error.message.length + (error.expected ?? '').length + (error.got ?? '').length).toBeLessThan(2_000);
    return 'refused';
  }
}

describe('a mutated event', () => {
  it.each([
    ['field', contentMutation, 3_000],
    ['text', textMutation, 2_000],
    ['tag', tagMutation, 1_500],
  ] as const)('parses or is refused as bad-event or unsupported-version: by %s', (_what, mutations, numRuns) => {
    const seen = { parsed: 0, refused: 0 };
    fc.assert(
      fc.property(mutations, ({ name, event }) => {
        seen[attempt(() => parseAs(name, event))]++;
      }),
      { numRuns },
    );
    expect(seen.refused).toBeGreaterThan(numRuns / 10);
  });

  it('that still parses builds to content that parses to the same', () => {
    fc.assert(
      fc.property(contentMutation, ({ name, event }) => {
        const type = EVENT_TYPES[name as keyof typeof EVENT_TYPES] as (typeof EVENT_TYPES)['bid'] | undefined;
        if (type === undefined || attempt(() => type.parse(event)) === 'refused') return;
        const first = type.parse(event);
        const content = type.build({ job: null, seq: 0, prev: null }, first.content, 0).content;
        const again = type.parse({ ...event, content });
        expect(JSON.stringify(again.content, big)).toBe(JSON.stringify(first.content, big));
        expect(type.build({ job: null, seq: 0, prev: null }, again.content, 0).content).toBe(content);
      }),
      { numRuns: 1_500 },
    );
  });

  it('never makes the fold throw', () => {
    const job = readVectors<EventVectors>('job').valid[0]!.event;
    const own = valid.filter(({ event }) => event.tags.some(([name, value]) => name === 'e' && value === job.id));
    expect(own.length).toBeGreaterThan(15);
    const parsed = own.map(({ event }) => parseJobEvent(event));
    const mutation = fc.constantFrom(...own).chain(({ event }) => {
      const content: unknown = JSON.parse(event.content);
      return fc
        .tuple(fc.constantFrom(...pathsOf(content)), nasty)
        .map(([path, put]) => ({ ...event, content: JSON.stringify(replaceAt(content, path, put)) }));
    });
    fc.assert(
      fc.property(mutation, (event) => {
        if (attempt(() => parseJobEvent(event)) === 'refused') return;
        const rest: JobEvent[] = parsed.filter((one) => one.id !== event.id);
        foldJob(job.id, [parseJobEvent(job), ...rest, parseJobEvent(event)]);
      }),
      { numRuns: 1_500 },
    );
  });
});

const big = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);

describe('a hostile event', () => {
  const bid = readVectors<EventVectors>('bid').valid[0]!.event;
  const withContent = (content: string) => attempt(() => EVENT_TYPES.bid.parse({ ...bid, content }));
  const grow = (field: string, value: string) => bid.content.replace(/^\{/, `{"${field}":${value},`);

  it('may nest deep and be long without harm, and repeats no key', () => {
    const deep = 31_000;
    expect(withContent('['.repeat(64_000))).toBe('refused');
    expect(withContent('['.repeat(deep) + ']'.repeat(deep))).toBe('refused');
    expect(withContent(grow('later', '['.repeat(deep) + ']'.repeat(deep)))).toBe('parsed');
    expect(withContent(grow('later', '{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000)))).toBe('parsed');
    expect(withContent(grow('later', `[${'0,'.repeat(31_000)}0]`))).toBe('parsed');
    expect(withContent(grow('priceMsat', '"1"'))).toBe('refused');
    expect(withContent(`{"priceMsat":"${'9'.repeat(60_000)}"}`)).toBe('refused');
    expect(withContent('x'.repeat(64_001))).toBe('refused');
  });

  it('finds no slow regular expression', () => {
    const { event } = readVectors<EventVectors>('reveal').valid[0]!;
    const content = JSON.parse(event.content) as Record<string, unknown>;
    for (const sealed of ['A'.repeat(60_001), 'AAAA'.repeat(15_000) + '=', '='.repeat(60_000), 'A==='.repeat(15_000)])
      for (const field of ['sealed', 'inline', 'engine', 'salt'])
        attempt(() => EVENT_TYPES.reveal.parse({ ...event, content: JSON.stringify({ ...content, [field]: sealed }) }));
  });

  it('has tags of bounded number and size', () => {
    const parse = (tags: string[][]) => attempt(() => EVENT_TYPES.bid.parse({ ...bid, tags: [...bid.tags, ...tags] }));
    expect(parse(Array.from({ length: 590 }, () => ['p', 'x']))).toBe('parsed');
    expect(parse(Array.from({ length: 600 }, () => ['p', 'x']))).toBe('refused');
    expect(parse([['p', 'x'.repeat(1_024)]])).toBe('parsed');
    expect(parse([['p', 'x'.repeat(1_025)]])).toBe('refused');
    expect(parse([Array.from({ length: 9 }, () => 'p')])).toBe('refused');
    expect(parse([[]])).toBe('parsed');
  });

  it('cannot reach a prototype', () => {
    for (const key of ['__proto__', '\\u005f_proto__'])
      for (const text of [`{"${key}":{"priceMsat":"1"}}`, grow(key, '{}'), grow('later', `[{"${key}":1}]`)])
        expect(withContent(text)).toBe('refused');
    expect(withContent(grow('constructor', '{"prototype":1}'))).toBe('parsed');
    expect(withContent('{}')).toBe('refused');
    expect(({} as Record<string, unknown>)['priceMsat']).toBeUndefined();
  });

  it('of an unknown phase of another version says the version', () => {
    const tags = [
      ['t', 'nmkt'],
      ['v', '2'],
      ['phase', 'haggle'],
    ];
    expect(() => parseJobEvent({ ...bid, tags })).toThrow(expect.objectContaining({ code: 'unsupported-version' }));
    tags[1] = ['v', '1'];
    expect(() => parseJobEvent({ ...bid, tags })).toThrow(expect.objectContaining({ code: 'bad-event' }));
  });
});

describe('a hostile grant or locator', () => {
  const grants = ['shard-grant', 'round-grant'].flatMap((name) => readVectors<GrantVectors>(name).valid);

  it('is refused as bad-event', () => {
    const mutation = fc.constantFrom(...grants).chain(({ content }) => {
      const json: unknown = JSON.parse(content);
      return fc
        .tuple(fc.constantFrom(...pathsOf(json)), nasty)
        .map(([path, put]) => JSON.stringify(replaceAt(json, path, put)));
    });
    fc.assert(
      fc.property(fc.oneof(mutation, fc.string()), (content) => {
        attempt(() => parseGrant(KINDS.grant, content));
      }),
      { numRuns: 1_000 },
    );
    expect(attempt(() => parseGrant(KINDS.grant, '['.repeat(28_672)))).toBe('refused');
    expect(attempt(() => parseGrant(KINDS.grant, ' '.repeat(28_673)))).toBe('refused');
  });

  it('never ends in another error although its author chose bytes and hash', () => {
    const blind = new Uint8Array(32);
    for (const text of ['', '{', 'null', '[]', '{"__proto__":1}', '['.repeat(20_000), '{"upload":1,"shards":[]}'])
      expect(attempt(() => openLocator(text, blind, locatorHash(text, blind)))).toBe('refused');
  });
});

describe('scalars of a model', () => {
  it('spell every learning rate one way', () => {
    for (const [value, text] of [
      [0.001, '0.001'],
      [1, '1'],
      [0.1 + 0.2, '0.3'],
      [100, '100'],
      [1e-12, '0.000000000001'],
    ] as const)
      expect(decimalText(value)).toBe(text);
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 100, noNaN: true }), (learningRate) => {
        const wire = { optimizer: 'adam', batch: 1, epochs: 1, learningRate: decimalText(learningRate) };
        const parsed = hyperParameters.parse(wire);
        expect(decimalText(parsed.learningRate)).toBe(wire.learningRate);
      }),
    );
  });
});

describe('JSON from outside', () => {
  it('is undefined when it is none or hides a prototype, else the value', () => {
    expect(parseJson('{"a":[1,{"b":null}]}')).toEqual({ a: [1, { b: null }] });
    expect(parseJson('null')).toBeNull();
    for (const text of ['', '{', 'undefined', 'NaN', "{'a':1}", '[{"a":{"__proto__":0}}]'])
      expect(parseJson(text)).toBeUndefined();
  });
});
