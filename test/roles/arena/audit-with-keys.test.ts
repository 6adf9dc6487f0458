import { beforeAll, describe, expect, it } from 'vitest';
import { sha256, type Pubkey } from '../../../src/hash.js';
import { WORST_SCORE_PPM } from '../../../src/protocol/arena/scores.js';
import type { Relays } from '../../../src/ports.js';
import { auditArenaJob } from '../../../src/roles/arena/audit.js';
import type { ArenaAuditKeys } from '../../../src/roles/arena/audit-keys.js';
import type { ArenaScript } from '../../support/arena-script.js';
import { ENGINE, people, START_SEC } from '../../support/job-contents.js';
import { engine, openedArena, trainers } from '../../support/opened-arena.js';

const [vera, will] = people.slice(4, 6).map(({ pubkey }) => pubkey) as [Pubkey, Pubkey];
let arena: Awaited<ReturnType<typeof openedArena>>;
let honest: ArenaScript;
let keys: ArenaAuditKeys;
beforeAll(async () => {
  arena = await openedArena();
  honest = arena.play();
  keys = await arena.keysOf(honest);
});

const audit = (given: ArenaAuditKeys | undefined, script = honest, relays: Relays = arena.network.relays()) =>
  auditArenaJob({
    ...{ book: { state: () => script.folded }, relays, decode: () => null, nowSec: START_SEC + 86_400 },
    ...{ keys: async () => given, engine: async () => engine },
  });

describe('an arena audited with keys', () => {
  it('passes as far up as they open it', async () => {
    expect(honest.folded).toMatchObject({ phase: 'finished', firstBad: null });
    expect(honest.stage.ranks).toHaveLength(2);
    expect(arena.score(trainers[2]!.pubkey, 0, vera)).toBe(WORST_SCORE_PPM);
    const levels = [undefined, { ...keys, data: undefined }, keys] as (ArenaAuditKeys | undefined)[];
    const ends = await Promise.all(levels.map((given) => audit(given)));
    expect(ends.map(({ level, found }) => [level, found])).toEqual([
      ['public', null],
      ['keys', null],
      ['data', null],
    ]);
    expect(ends[2]).toMatchObject({ why: null, engine: ENGINE, contradicted: [], notices: [] });
    expect(ends[1]!.why).toContain('no key to the evaluation sets');
  });

  it('names a validator that was outvoted, and passes', async () => {
    const first = trainers[0]!.pubkey;
    const script = arena.play({
      score: (trainer, stage, validator) =>
        arena.score(trainer, stage, validator) - (validator === will && trainer === first && stage === 1 ? 5_000 : 0),
    });
    const { level, found, contradicted } = await audit(await arena.keysOf(script), script);
    expect([level, found]).toEqual(['data', null]);
    expect(contradicted).toMatchObject([{ stage: 1, validator: will, trainer: first }]);
  });

  it('fails the rank that most validators made up', async () => {
    const second = trainers[1]!.pubkey;
    const script = arena.play({
      score: (trainer, stage, validator) =>
        trainer === second && [vera, will].includes(validator) ? 1 : arena.score(trainer, stage, validator),
    });
    const { level, found } = await audit(await arena.keysOf(script), script);
    expect([level, found!.rule, found!.event]).toEqual(['data', 'measurement', script.raw('ranking/0').id]);
    expect(found!.detail).toContain(`the model of ${second} scores ${arena.score(second, 0, vera)} ppm`);
  });

  it('fails a set that is not what the job committed to', async () => {
    const { data } = keys;
    const { found } = await audit({ ...keys, data: { ...data!, a: { ...data!.a, salt: sha256('another') } } });
    expect(found).toMatchObject({ event: honest.jobId, rule: 'evaluation-set' });
    const swapped = await audit({ ...keys, data: { a: data!.b, b: data!.a } });
    expect(swapped.found?.rule).toBe('locator');
  });

  it('fails, and names the submission, where a model that was ranked does not open', async () => {
    const [first] = keys.models;
    const relays = arena.network.relays();
    const without: Relays = {
      ...relays,
      urls: relays.urls,
      fetch: async (filters, options) => {
        const { events, ...rest } = await relays.fetch(filters, options);
        return { ...rest, events: events.filter(({ id }) => !first!.pointer.ids.includes(id as never)) };
      },
    };
    const { level, found } = await audit(keys, honest, without);
    expect([level, found]).toMatchObject(['keys', { event: first!.submission, rule: 'blob' }]);
  });
});
