import { describe, expect, it } from 'vitest';
import type { EventId, Pubkey } from '../../../src/hash.js';
import type { EngineId } from '../../../src/learning/types.js';
import { aliasRoot, type AliasEntry } from '../../../src/protocol/arena/alias.js';
import { WORST_SCORE_PPM } from '../../../src/protocol/arena/scores.js';
import type { ContentOf } from '../../../src/protocol/events.js';
import { auditStage, type OpenedModel } from '../../../src/roles/arena/audit-scores.js';
import { scriptArena, type ArenaOptions, type ArenaScript } from '../../support/arena-script.js';
import { ENGINE, hashOf, people } from '../../support/job-contents.js';

const [ann, ben] = people.slice(0, 3).map(({ pubkey }) => pubkey) as [Pubkey, Pubkey];
const [vera, will] = people.slice(4, 7).map(({ pubkey }) => pubkey) as [Pubkey, Pubkey];
/** What everybody measures who does. */
const TRUE_PPM = 400_000;

const played = (score: NonNullable<ArenaOptions['score']> = () => TRUE_PPM, alter: ArenaOptions['alter'] = {}) =>
  scriptArena({ score, alter: { 'list/1': () => null, ...alter } });
const table = (script: ArenaScript) => script.at('table/0', 'alias-table').content.entries;
const submissionOf = (script: ArenaScript, who: Pubkey) => script.stage.submissions.get(who)!.id;

/** What the trainers of an honest script submitted: a file names its submission. */
function modelsOf(entries: readonly AliasEntry[]): ReadonlyMap<EventId, OpenedModel> {
  return new Map(
    entries.map(({ submission, model, salt }) => [
      submission,
      { file: Buffer.from(submission), hash: model!, salt: salt! },
    ]),
  );
}
function scores(script: ArenaScript, engine: EngineId = ENGINE, measure = (_: EventId) => TRUE_PPM) {
  const models = modelsOf(table(script));
  return auditStage(script.state, script.stage, {
    open: async ({ id }) => models.get(id) ?? null,
    scorer: { engine, measure: async (file) => measure(Buffer.from(file).toString() as EventId) },
  });
}

describe('scores of an arena measured again', () => {
  it('hold where everybody says what is measured, by one measurement of each model', async () => {
    const script = played();
    const asked: EventId[] = [];
    const audited = await scores(script, ENGINE, (id) => (asked.push(id), TRUE_PPM));
    expect(audited).toEqual({ found: null, contradicted: [], openNow: [] });
    expect(asked).toEqual(table(script).map(({ submission }) => submission));
  });

  it('name a validator that is outvoted, and no rank by it', async () => {
    const script = played((trainer, _, validator) => (trainer === ann && validator === will ? TRUE_PPM - 1 : TRUE_PPM));
    const { found, contradicted } = await scores(script);
    expect(found).toBeNull();
    const { id } = script.at('scores/0/1', 'arena-scores');
    expect(contradicted).toMatchObject([{ stage: 0, validator: will, trainer: ann, event: id }]);
    expect(contradicted[0]!.detail).toMatch(/it says 399999 ppm, measured again 400000 ppm on wasm/);
  });

  it('name the score that a majority made up, and all of the majority', async () => {
    const script = played((trainer, _, validator) =>
      trainer === ben && [vera, will].includes(validator) ? 1_000 : TRUE_PPM,
    );
    const { found, contradicted } = await scores(script);
    expect(found).toEqual({
      event: script.raw('ranking/0').id,
      rule: 'measurement',
      detail: `the model of ${ben} scores 400000 ppm on ${ENGINE}, its validators came to 1000`,
    });
    expect(contradicted.map(({ validator, trainer }) => [validator, trainer])).toEqual([
      [vera, ben],
      [will, ben],
    ]);
  });

  it('may differ by a thousandth and 100 ppm on another engine, and by no more', async () => {
    const other = 'cpu/1/4.22.0/v8' as EngineId;
    // 400,500 / 1000 + 100 = 500.5.
    for (const [said, isFound] of [
      [400_500, false],
      [400_502, true],
    ] as const) {
      const { found, contradicted } = await scores(
        played(() => said),
        other,
      );
      expect([said, found !== null, contradicted.length]).toEqual([said, isFound, isFound ? 9 : 0]);
    }
  });

  it('hold for a model that nobody can load', async () => {
    const script = played((trainer) => (trainer === ann ? WORST_SCORE_PPM : TRUE_PPM));
    const own = submissionOf(script, ann);
    const audited = await scores(script, ENGINE, (id) => (id === own ? WORST_SCORE_PPM : TRUE_PPM));
    expect(audited).toEqual({ found: null, contradicted: [], openNow: [] });
  });
});

describe('names of an arena, opened', () => {
  const script = played();
  const models = modelsOf(table(script));
  const own = submissionOf(script, ann);
  const names = (change: ReadonlyMap<EventId, OpenedModel> = models, of = script) =>
    auditStage(of.state, of.stage, { open: async ({ id }) => change.get(id) ?? null });
  const forged = new Map([...models, [own, { ...models.get(own)!, hash: hashOf('another') }]]);

  it('hold', async () => {
    expect(await names()).toEqual({ found: null, contradicted: [], openNow: [] });
  });

  it('name a model that is not what its blob holds, and one that does not open', async () => {
    const { found } = await names(forged);
    expect(found).toMatchObject({ event: script.raw('table/0').id, rule: 'alias-table' });
    expect(found!.detail).toContain(`${ann} submitted ${models.get(own)!.hash}, its blob holds ${hashOf('another')}`);
    const without = await names(new Map([...models].filter(([id]) => id !== own)));
    expect(without.found).toMatchObject({ event: own, rule: 'blob' });
  });

  it('tell of a model that could not be opened, by the customer, that it opens now', async () => {
    const shut = (entries: readonly AliasEntry[]) =>
      entries.map((entry) => (entry.submission === own ? { ...entry, model: null, salt: null } : entry));
    const honest = script.at('table/0', 'alias-table').content;
    const closed = played(undefined, {
      'root/0': (of: ContentOf<'alias-root'>, so: ArenaScript) => ({
        ...of,
        root: aliasRoot({ ...of, job: so.jobId, entries: shut(honest.entries), salt: honest.salt }),
      }),
      'table/0': (of: ContentOf<'alias-table'>) => ({ ...of, entries: shut(of.entries) }),
    });
    expect(await names(models, closed)).toEqual({ found: null, contradicted: [], openNow: [own] });
    // One that opens to something else than was committed could not be opened indeed.
    expect(await names(forged, closed)).toEqual({ found: null, contradicted: [], openNow: [] });
  });
});
