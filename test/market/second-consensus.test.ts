import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import { consensus } from '../../src/market/consensus.js';
import { MEASURES, type ScoreRow } from '../../src/protocol/score.js';
import type { EventOf } from '../../src/protocol/events.js';
import { medianOf } from '../support/second/validators.js';

/** The rule of docs/protocol.md worked out twice: from parsed events, and from raw ones apart. */

const ENGINES = ['wasm/1', 'cpu/1'];
const numbers = fc.record(Object.fromEntries(MEASURES.map((name) => [name, fc.integer({ min: -3, max: 3 })])));
const spot = fc.option(fc.record({ segment: fc.nat({ max: 1 }), hash: fc.constantFrom('aa', 'bb') }), { nil: null });
const row = (shard: number) =>
  fc.tuple(numbers, spot).map(([values, found]): ScoreRow => {
    const said = { submission: `update ${shard}`, trainer: `trainer ${shard}`, shard, ...values, spot: found };
    return said as unknown as ScoreRow;
  });
/** Of up to three updates, each of which a validator may leave out. */
const sheet = fc
  .tuple(fc.constantFrom(...ENGINES), ...[0, 1, 2].map((shard) => fc.option(row(shard), { nil: null })))
  .map(([engine, ...rows]) => ({ engine, scores: rows.filter((one) => one !== null) }));

it('the lower median of what was revealed, and the repetitions that most of an engine found, are the same in both', () => {
  fc.assert(
    fc.property(fc.array(sheet, { minLength: 1, maxLength: 7 }), (sheets) => {
      const keyed = sheets.map((content, i) => [`key ${i}` as Pubkey, { content }] as const);
      const first = consensus(new Map(keyed) as unknown as ReadonlyMap<Pubkey, EventOf<'scores'>>, ENGINES[0]!);
      const raw = sheets.map((content) => ({ content: JSON.stringify(content) }));
      expect(medianOf(raw as never, ENGINES[0])).toEqual(first);
    }),
    { numRuns: 300 },
  );
});
