import { describe, expect, it } from 'vitest';
import { checkMany } from './check.js';
import { targets } from './targets.js';
import type { Target } from './target.js';

/** Inputs in all; more with NMKT_FUZZ=N. */
const TOTAL = Number(process.env['NMKT_FUZZ'] ?? 60_000);
const shares = targets.reduce((sum, { share }) => sum + share, 0);
const countOf = ({ share }: Target): number => Math.ceil((TOTAL * share) / shares);

describe('whatever comes from outside is read as a slow reader reads it, or refused with its documented error, at once', () => {
  it.each(targets.map((reader) => [reader.name, reader] as const))(
    '%s',
    async (_, reader) => {
      const count = countOf(reader);
      const taken = await checkMany(reader, count);
      // A reader that takes nothing proves nothing, nor does one that is never given anything wrong.
      if (count > 200) expect(taken).toBeGreaterThan(count / 200);
      if (count > 200 && reader.codes.length > 0) expect(taken).toBeLessThan(count);
    },
    60_000 + TOTAL,
  );
});
