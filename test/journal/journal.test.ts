import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openJournal } from '../../src/journal/file-journal.js';
import { decodeRecord, encodeRecord } from '../../src/journal/record-json.js';
import type { Journal } from '../../src/ports.js';
import { memoryJournal } from '../support/memory-journal.js';
import { temporaryFolder } from '../support/run-nmkt.js';

type Entry = { readonly n: number; readonly msat?: bigint };

/** The port's promise: run on the real journal and on the one in memory. `reopen` is what a restart finds. */
const kinds: [string, () => () => Promise<Journal<Entry>>][] = [
  [
    'file journal',
    () => {
      const path = join(temporaryFolder(), 'deep', 'journal.jsonl');
      return () => openJournal<Entry>(path);
    },
  ],
  [
    'memory journal',
    () => {
      const records: Entry[] = [];
      return async () => memoryJournal(records);
    },
  ],
];

describe.each(kinds)('the %s', (_name, create) => {
  it('starts empty', async () => {
    const journal = await create()();
    expect(await journal.read()).toEqual([]);
    await journal.close();
  });

  it('gives records back in the order of the calls, also to the next process', async () => {
    const reopen = create();
    const first = await reopen();
    await Promise.all(Array.from({ length: 20 }, (_, n) => first.append({ n })));
    expect((await first.read()).map(({ n }) => n)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    await first.close();
    const second = await reopen();
    await second.append({ n: 20 });
    expect((await second.read()).at(-1)).toEqual({ n: 20 });
    expect(await second.read()).toHaveLength(21);
    await second.close();
  });

  it('keeps a bigint exactly', async () => {
    const journal = await create()();
    await journal.append({ n: 0, msat: 2n ** 63n - 1n });
    expect(await journal.read()).toEqual([{ n: 0, msat: 9223372036854775807n }]);
    await journal.close();
  });

  it('keeps what a record was, not what its caller makes of it later', async () => {
    const journal = await create()();
    const record = { n: 1 };
    const done = journal.append(record);
    record.n = 2;
    await done;
    expect(await journal.read()).toEqual([{ n: 1 }]);
    await journal.close();
  });
});

describe('the file', () => {
  it('is not made before the first record, and is private then', async () => {
    const path = join(temporaryFolder(), 'j.jsonl');
    const journal = await openJournal<Entry>(path);
    await journal.read();
    expect(existsSync(path)).toBe(false);
    await journal.append({ n: 1 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toBe('{"n":1}\n');
    await journal.close();
  });

  it('loses only a last line torn by a crash, wherever the tear is', async () => {
    const whole = '{"n":1}\n{"n":2}\n';
    const torn = '{"n":3,"msat":{"$bigint":"5"}}';
    const path = join(temporaryFolder(), 'j.jsonl');
    for (let cut = 0; cut <= torn.length; cut += 1) {
      writeFileSync(path, whole + torn.slice(0, cut));
      const journal = await openJournal<Entry>(path);
      expect(await journal.read()).toEqual([{ n: 1 }, { n: 2 }]);
      await journal.append({ n: 4 });
      await journal.close();
      expect(readFileSync(path, 'utf8')).toBe(`${whole}{"n":4}\n`);
    }
  });

  it('is not touched by a reader while another process is in the middle of a line', async () => {
    const path = join(temporaryFolder(), 'j.jsonl');
    writeFileSync(path, '{"n":1}\n{"n":');
    const reader = await openJournal<Entry>(path);
    expect(await reader.read()).toEqual([{ n: 1 }]);
    appendFileSync(path, '2}\n');
    expect(await reader.read()).toEqual([{ n: 1 }, { n: 2 }]);
    await reader.close();
  });

  it('is refused when a whole line is damaged: guessing could pay twice', async () => {
    const path = join(temporaryFolder(), 'j.jsonl');
    writeFileSync(path, '{"n":1}\n{"n:2}\n{"n":3}\n');
    const journal = await openJournal<Entry>(path);
    await expect(journal.read()).rejects.toMatchObject({ code: 'bad-journal' });
    await expect(journal.append({ n: 4 })).rejects.toMatchObject({ code: 'bad-journal' });
    await journal.close();
  });
});

describe('a record as JSON', () => {
  it('comes back equal', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        fc.bigInt(),
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie('any'), { maxKeys: 4, noNullPrototype: true }),
      ),
    })).any;
    fc.assert(
      fc.property(value, (record) => {
        expect(decodeRecord(encodeRecord(record))).toEqual(record);
      }),
    );
  });

  it('is refused when it would not', () => {
    for (const record of [{ x: NaN }, { x: Infinity }, { x: new Uint8Array(2) }, { $bigint: 'no number' }])
      expect(() => encodeRecord(record)).toThrow(TypeError);
  });
});
