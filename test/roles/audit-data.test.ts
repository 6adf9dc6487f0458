import { beforeAll, describe, expect, it } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { sha256 } from '../../src/hash.js';
import { workScore } from '../../src/learning/scoring.js';
import type { EngineId } from '../../src/learning/types.js';
import type { Engine, Evaluation } from '../../src/ports.js';
import type { AuditKeys } from '../../src/roles/audit.js';
import { createWorld, ENGINE_ID, type CustomerOptions, type World } from '../support/market-world.js';
import { tampering } from './rogue.js';

/** A customer whose measurements are not what its data gives: only who opens the data can see it. */

const small = { trainers: 3, rounds: 1, rail: 'none', job: { quorum: 2 } } as const;

const signing = (change: Parameters<typeof tampering>[1]): CustomerOptions => ({
  signer: (own) => tampering(own, change),
});
type Row = Record<string, number> & { trainer: never };
/** Other losses of the first update, with the D and E that follow from them. */
const scoring = (change: (row: Row) => Partial<Row>): CustomerOptions =>
  signing((_, content) => {
    const rows = content['scores'];
    if (!Array.isArray(rows)) return undefined;
    const [first, ...rest] = rows as [Row, ...Row[]];
    const row = { ...first, ...change(first) };
    const own = { before: row['ownBeforePpm']!, after: row['ownAfterPpm']! };
    const other = { before: row['otherBeforePpm']!, after: row['otherAfterPpm']! };
    return { ...content, scores: [{ ...row, ...workScore(own, other) }, ...rest] };
  });

async function playedBy(name: string, customer: CustomerOptions): Promise<World> {
  const world = await createWorld({ ...small, name });
  const { state } = await world.run({ customer });
  expect(state.phase).toBe('finished');
  const { open, keyed } = await world.audit();
  expect([open, keyed]).toEqual([null, null]);
  return world;
}

describe('the audit with the data fails a customer', () => {
  const cases: [string, (row: Row) => Partial<Row>, RegExp][] = [
    ['whose loss on set A is one ppm off', ({ lossPpm }) => ({ lossPpm: lossPpm! + 1 }), /^lossPpm is/],
    ['that rounds an error away', ({ ownSePpm }) => ({ ownSePpm: ownSePpm! - 1 }), /^ownSePpm is/],
    [
      'that measures good work as none, and does not pay it',
      ({ ownBeforePpm }) => ({ ownAfterPpm: ownBeforePpm! }),
      /^ownAfterPpm is/,
    ],
  ];
  it.each(cases)('%s', async (name, change, detail) => {
    const world = await playedBy(name, scoring(change));
    const [round] = (await world.read()).state().rounds;
    expect(round!.close!.content.rejected).toHaveLength(name.includes('none') ? 1 : 0);
    expect(await world.auditAll()).toMatchObject({
      ...{ level: 'data', why: null },
      found: { event: round!.scores!.id, rule: 'measurement', detail: expect.stringMatching(detail) },
    });
  });

  it.each(['close', '4632'])('that praises its model in its %s', async (step) => {
    const praise = (content: Record<string, unknown>) => ({ ...content, accuracyPpm: 1_000_000 });
    const world = await playedBy(
      `praise ${step}`,
      signing((phase, content) => (phase === step ? praise(content) : undefined)),
    );
    const state = (await world.read()).state();
    const event = step === 'close' ? state.rounds[0]!.close! : state.artifact!;
    expect((await world.auditAll()).found).toMatchObject({
      ...{ event: event.id, rule: 'measurement', detail: expect.stringMatching(/^on set [AB] the accuracy is/) },
    });
  });

  it('that leaves an update unscored: the keys are enough', async () => {
    const world = await createWorld({ ...small, name: 'unscored' });
    const { state } = await world.run({
      customer: signing((_, content) => {
        const rows = content['scores'];
        return Array.isArray(rows) ? { ...content, scores: rows.slice(1) } : undefined;
      }),
    });
    expect(state.rounds[0]!.close!.content.rejected).toMatchObject([{ rule: 'work-floor', detail: 'no measurement' }]);
    const { open, keyed } = await world.audit();
    expect(open).toBeNull();
    expect(keyed).toMatchObject({ rule: 'scores', event: state.rounds[0]!.scores!.id });
  });

  it('that promised a grant which does not open the shard; to strangers it is a dispute', async () => {
    const world = await createWorld({ ...small, name: 'wrong key' });
    const key = Buffer.from(sha256('wrong')).toString('hex');
    const { state } = await world.run({
      customer: {
        adapt: (env) => {
          const { train } = env.secrets;
          return { ...env, secrets: { ...env.secrets, train: { ...train, secrets: { ...train.secrets, key } } } };
        },
      },
    });
    const open = await world.auditAll({ upTo: 'public' });
    expect(open.found).toBeNull();
    expect(open.disputes).toHaveLength(3);
    expect(open.disputes[0]).toMatchObject({ shard: 0, rule: 'grant-bad', detail: expect.stringMatching(/^key: /) });
    expect((await world.auditAll()).found).toMatchObject({ event: state.award!.id, rule: 'grant' });
  });
});

describe('the audit with the data of an honest job', () => {
  let world: World;
  beforeAll(async () => void (world = await playedBy('measured', {})));

  it('passes', async () => {
    expect(await world.auditAll()).toEqual({
      ...{ level: 'data', why: null, found: null, engine: ENGINE_ID, disputes: [] },
      repeated: { segments: 3, why: null },
      ...{ roots: null, standing: null, awardedBy: 'rules', validators: null },
    });
  });

  const given = async (change: (data: NonNullable<AuditKeys['data']>) => Partial<NonNullable<AuditKeys['data']>>) => {
    const keys = await world.allKeys();
    const { found } = await world.auditAll({
      keys: async () => ({ ...keys, data: { ...keys.data!, ...change(keys.data!) } }),
    });
    return found;
  };
  const wrong = sha256('wrong');

  it('fails with what does not belong to it, and names what does not fit', async () => {
    const { dataset, evalA, evalB } = world.terms;
    expect(await given(({ a }) => ({ a: { ...a, salt: wrong } }))).toMatchObject({
      ...{ event: world.jobId, rule: 'commitment', detail: expect.stringContaining('set A') },
    });
    expect(await given(({ b }) => ({ b: { ...b, salt: wrong } }))).toMatchObject({ rule: 'commitment' });
    expect(await given(({ b }) => ({ b: { ...b, shards: [wrong] } }))).toMatchObject({
      ...{ event: evalB.snapshot, rule: 'blob' },
    });
    expect(await given(({ a }) => ({ a: { ...a, blind: wrong } }))).toMatchObject({
      ...{ event: evalA.snapshot, rule: 'locator' },
    });
    expect(await given(({ train }) => ({ train: { ...train, shards: train.shards.slice(1) } }))).toMatchObject({
      ...{ event: dataset, rule: 'locator' },
    });
    expect(await given(() => ({ chain: wrong }))).toMatchObject({ event: world.jobId, rule: 'commitment' });
  });

  const measuringLike = (id: string, factor: number): Engine => ({
    ...world.engine,
    id: id as EngineId,
    async evaluate(...of): Promise<Evaluation> {
      const { loss, losses, ...rest } = await world.engine.evaluate(...of);
      return { ...rest, loss: loss * factor, losses: losses.map((one) => one * factor) };
    },
  });

  it.each([
    [ENGINE_ID, 1.00001, 'measurement'],
    ['wasm/0/other/x64', 1.0005, undefined],
    ['wasm/0/other/x64', 1.003, 'measurement'],
  ])('on engine %s that measures %f times as much: %s', async (id, factor, rule) => {
    const { found, engine } = await world.auditAll({ engine: async () => measuringLike(id, factor) });
    expect([found?.rule, engine]).toEqual([rule, id]);
  });

  it('stays below, and says why, where no engine loads or it was not asked for', async () => {
    const broken = async () => {
      throw new NmktError('engine-unavailable', 'none', { remedy: 'x', got: 'wasm: broken' });
    };
    expect(await world.auditAll({ engine: broken })).toMatchObject({
      ...{ level: 'keys', found: null, why: 'no engine loads here (wasm: broken)' },
    });
    expect(await world.auditAll({ upTo: 'keys' })).toMatchObject({ level: 'keys', why: 'no higher one was asked for' });
  });
});

describe('the heads in the keys', () => {
  it('hold fast what nothing cites', async () => {
    const world = await createWorld({ ...small, name: 'heads' });
    await world.run();
    const keys = await world.allKeys();
    const { artifact } = (await world.read()).state();
    const book = await world.read();
    const lost = { state: () => book.state(), raw: (id: never) => (id === artifact!.id ? undefined : book.raw(id)) };
    expect((await world.auditAll({ book: lost, keys: async () => keys })).found).toMatchObject({
      ...{ event: artifact!.id, rule: 'missing', detail: expect.stringContaining(world.customer.signer.pubkey) },
    });
  });
});
