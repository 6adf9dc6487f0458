import { describe, expect, it } from 'vitest';
import { sha256, type Pubkey } from '../../src/hash.js';
import { ShownBefore, type ShownLog } from '../../src/market/shown-log.js';
import { acceptRound, noteShown, publicFailure, type RoundEvidence } from '../../src/market/acceptance.js';
import type { ContentOf } from '../../src/protocol/events.js';
import type { ScoreRow } from '../../src/protocol/score.js';
import { commitmentOf } from '../../src/protocol/submission.js';
import { hashOf, people, scoreOf, scriptJob } from '../support/job-script.js';

const script = scriptJob({ until: 'scores/0' });
const round = script.state.rounds[0]!;
const [a, b, c] = people.map(({ pubkey }) => pubkey) as [Pubkey, Pubkey, Pubkey];

const shardOf = (trainer: Pubkey): number => [a, b, c].indexOf(trainer);

const honest: RoundEvidence = {
  job: script.jobId,
  round: 0,
  baseHash: round.open.content.base.sha256,
  assigned: round.assigned,
  commits: round.listedCommits,
  reveals: round.listedReveals,
  shownBefore: new Map(),
  residuals: new Map(),
  codec: { name: 'f32' },
  findings: new Map(),
  scores: new Map(round.scores!.content.scores.map((row) => [row.shard, row])),
  lossBeforePpm: null,
  strictLoss: false,
  leastWorkPpm: null,
  engine: null,
  isSale: false,
};

const without = <K, V>(map: ReadonlyMap<K, V>, key: K) => new Map([...map].filter(([other]) => other !== key));

/** A reveal of `trainer` with other fields; with `committed` also the commitment that opens to it. */
function revealing(
  evidence: RoundEvidence,
  trainer: Pubkey,
  change: Partial<ContentOf<'reveal'>>,
  committed = false,
): RoundEvidence {
  const reveal = evidence.reveals.get(shardOf(trainer))!;
  const content = { ...reveal.content, ...change };
  const reveals = new Map(evidence.reveals).set(shardOf(trainer), { ...reveal, content });
  if (!committed) return { ...evidence, reveals };
  const { job } = evidence;
  const commit = evidence.commits.get(shardOf(trainer))!;
  const commitment = commitmentOf({ job, trainer, ...content });
  const commits = new Map(evidence.commits).set(shardOf(trainer), {
    ...commit,
    content: { ...commit.content, commitment, shard: content.shard },
  });
  return { ...evidence, reveals, commits };
}

function scoring(evidence: RoundEvidence, trainer: Pubkey, change: Partial<ScoreRow>): RoundEvidence {
  const row = { ...scoreOf(evidence.reveals.get(shardOf(trainer))!.id, trainer, shardOf(trainer)), ...change };
  return { ...evidence, scores: new Map(evidence.scores).set(shardOf(trainer), row) };
}

/** By trainer: null for accepted, else the rule. */
function verdicts(evidence: RoundEvidence): Record<string, string | null> {
  const { accepted, rejected } = acceptRound(evidence);
  return Object.fromEntries([
    ...accepted.map(({ trainer }) => [trainer, null]),
    ...rejected.map(({ trainer, rule }) => [trainer, rule]),
  ]);
}
const onlyA = (rule: string | null) => ({ [a]: rule, [b]: null, [c]: null });

describe('acceptance', () => {
  it('accepts honest work in order of shard, whatever the order of seats', () => {
    const { accepted, rejected } = acceptRound({ ...honest, assigned: [...honest.assigned].reverse() });
    expect(accepted.map(({ trainer, shard }) => [shard, trainer])).toEqual([
      [0, a],
      [1, b],
      [2, c],
    ]);
    expect(accepted.map(({ submission }) => submission)).toEqual(
      [a, b, c].map((key) => honest.reveals.get(shardOf(key))!.id),
    );
    expect(rejected).toEqual([]);
  });

  it('rejects the absent and the silent', () => {
    expect(verdicts({ ...honest, commits: without(honest.commits, 0) })).toEqual(onlyA('absent'));
    expect(verdicts({ ...honest, reveals: without(honest.reveals, 0) })).toEqual(onlyA('no-reveal'));
    expect(acceptRound({ ...honest, reveals: without(honest.reveals, 0) }).rejected[0]).toMatchObject({
      submission: null,
    });
  });

  it.each<[string, Partial<ContentOf<'reveal'>>]>([
    ['salt', { salt: sha256('another') }],
    ['update', { updateHash: hashOf('another') }],
    ['base', { baseHash: hashOf('another') }],
    ['shard', { shard: 1 }],
  ])('rejects a reveal whose %s is not the committed one', (_what, change) => {
    expect(verdicts(revealing(honest, a, change))).toEqual(onlyA('opening'));
  });

  it('rejects work on another base than the round’s', () => {
    expect(verdicts(revealing(honest, a, { baseHash: hashOf('old') }, true))).toEqual(onlyA('base'));
  });

  it('rejects the base itself as an update', () => {
    expect(verdicts(revealing(honest, a, { updateHash: honest.baseHash }, true))).toEqual(onlyA('unchanged'));
  });

  it('rejects both of two equal updates', () => {
    const { updateHash } = honest.reveals.get(1)!.content;
    expect(verdicts(revealing(honest, a, { updateHash }, true))).toEqual({ [a]: 'copy', [b]: 'copy', [c]: null });
  });

  it('rejects bytes that any earlier round showed, whoever showed them, and names that round', () => {
    const { updateHash } = honest.reveals.get(0)!.content;
    for (const trainer of [a, b]) {
      const again = { ...honest, round: 7, shownBefore: new Map([[updateHash, { round: 2, trainer }]]) };
      expect(publicFailure({ ...again, round: honest.round }, 0)).toEqual({
        rule: 'copy',
        detail: `the bytes that ${trainer.slice(0, 16)} showed in round 3`,
      });
    }
  });

  it('remembers what a round showed only where it opens: a hash that was merely named takes nobody down later', () => {
    const hash = (trainer: Pubkey) => honest.reveals.get(shardOf(trainer))!.content.updateHash;
    const shownBy = (evidence: RoundEvidence, log: ShownLog = new Map()) => {
      noteShown(log, evidence);
      return log;
    };
    expect([...shownBy(honest).keys()].sort()).toEqual([a, b, c].map(hash).sort());
    const later = hashOf('the work of a later round');
    expect(shownBy(revealing(honest, a, { updateHash: later })).has(later)).toBe(false);
    const earlier: ShownLog = new Map([[hash(b), { round: 0, trainer: c }]]);
    expect(shownBy({ ...honest, round: 1 }, earlier).get(hash(b))).toEqual({ round: 0, trainer: c });
  });

  it('looks only at rounds before its own: the log of a job goes on growing', () => {
    const { updateHash } = honest.reveals.get(0)!.content;
    const log: ShownLog = new Map([[updateHash, { round: 2, trainer: a }]]);
    expect(new ShownBefore(log, 2).get(updateHash)).toBeUndefined();
    expect(new ShownBefore(log, 3).get(updateHash)).toEqual({ round: 2, trainer: a });
  });

  it('lets nobody take an honest trainer down by naming its hash without having committed to it', () => {
    const { updateHash } = honest.reveals.get(1)!.content;
    expect(verdicts(revealing(honest, a, { updateHash }))).toEqual(onlyA('opening'));
  });

  it.each(['blob', 'shape'] as const)('rejects an update with the finding %s', (rule) => {
    expect(verdicts({ ...honest, findings: new Map([[0, { rule, detail: 'why' }]]) })).toEqual(onlyA(rule));
  });

  it('rejects what was not measured', () => {
    expect(verdicts({ ...honest, scores: without(honest.scores, 0) })).toEqual(onlyA('work-floor'));
  });

  it.each([
    [{ ePpm: 0, ownSePpm: 0, otherSePpm: 0 }, 'work-floor'],
    [{ ePpm: 0, dPpm: 20_001 }, null],
    [{ ePpm: 0, dPpm: 20_000 }, 'work-floor'],
    [{ ePpm: -28_284 }, null],
    [{ ePpm: -28_285 }, 'work-floor'],
    [{ ePpm: -1, ownSePpm: 0, otherSePpm: 0 }, 'work-floor'],
    [{ ePpm: 1 }, null],
    [{ ePpm: 1, dPpm: -5_000 }, null],
    [{ ePpm: 1, dPpm: -5_001 }, 'work-floor'],
  ] as const)('holds D and E against the work floor: %o gives %s', (change, rule) => {
    expect(verdicts(scoring(honest, a, change))).toEqual(onlyA(rule));
  });

  it('asks for a share of the medians of the round only where the job says so, and says what it asked', () => {
    // Drops of 20 %, 30 %, 40 %: the median is 30 %, of which half is 15 %. E of 1 %, 2 %, 8 %: a quarter of 2 % is 0.5 %.
    let evidence = scoring(honest, b, { dPpm: 300_000, ePpm: 20_000 });
    evidence = scoring(evidence, c, { dPpm: 400_000, ePpm: 80_000 });
    const of = (dPpm: number, ownSePpm: number, ePpm = 10_000) =>
      scoring({ ...evidence, leastWorkPpm: 500_000 }, a, { dPpm, ePpm, ownSePpm, otherSePpm: 0 });
    expect(verdicts(of(150_000, 0))).toEqual(onlyA(null));
    expect(verdicts(of(140_000, 10_000))).toEqual(onlyA(null));
    expect(verdicts(of(140_000, 9_999))).toEqual(onlyA('work-floor'));
    expect(verdicts({ ...of(140_000, 9_999), leastWorkPpm: null })).toEqual(onlyA(null));
    expect(verdicts(of(200_000, 0, 5_000))).toEqual(onlyA(null));
    expect(verdicts(of(200_000, 0, 4_999))).toEqual(onlyA('work-floor'));
    expect(acceptRound(of(140_000, 9_999)).rejected[0]!.detail).toBe(
      'D 140000 ppm, E 10000 ppm, errors 9999 and 0; the round asks for D 150000 and E 5000',
    );
  });

  it('counts the loss tests only where the job says so', () => {
    // 0.6 each: 1.1 times the loss before is 0.66, 1.2 times the mean of the others 0.72.
    const worse = scoring({ ...honest, lossBeforePpm: 600_000 }, a, { lossPpm: 700_000 });
    expect(verdicts(worse)).toEqual(onlyA(null));
    expect(verdicts({ ...worse, strictLoss: true })).toEqual(onlyA('loss'));
    const within = scoring({ ...honest, lossBeforePpm: 600_000, strictLoss: true }, a, { lossPpm: 660_000 });
    expect(verdicts(within)).toEqual(onlyA(null));
    // Without a loss before, only the comparison with the others is left.
    const first = scoring({ ...honest, strictLoss: true }, a, { lossPpm: 720_000 });
    expect(verdicts(first)).toEqual(onlyA(null));
    expect(verdicts(scoring({ ...honest, strictLoss: true }, a, { lossPpm: 720_001 }))).toEqual(onlyA('loss'));
  });

  it('names the first rule that fails, in the fixed order', () => {
    const finding = { findings: new Map([[0, { rule: 'shape' as const, detail: '' }]]) };
    let evidence: RoundEvidence = { ...honest, ...finding, strictLoss: true, lossBeforePpm: 1 };
    evidence = scoring(evidence, a, { ePpm: -50_000, lossPpm: 9_000_000 });
    const base = hashOf('old');
    const opened = revealing(evidence, a, { baseHash: base, updateHash: honest.baseHash }, true);
    const order: [RoundEvidence, string][] = [
      [{ ...opened, commits: without(opened.commits, 0), reveals: without(opened.reveals, 0) }, 'absent'],
      [{ ...opened, reveals: without(opened.reveals, 0) }, 'no-reveal'],
      [revealing(opened, a, { salt: sha256('x') }), 'opening'],
      [opened, 'base'],
      [revealing(evidence, a, { updateHash: honest.baseHash }, true), 'unchanged'],
      [revealing(evidence, a, { updateHash: honest.reveals.get(1)!.content.updateHash }, true), 'copy'],
      [evidence, 'shape'],
      [{ ...evidence, findings: new Map() }, 'loss'],
      [{ ...evidence, findings: new Map(), strictLoss: false }, 'work-floor'],
    ];
    for (const [one, rule] of order) expect(verdicts(one)[a]).toBe(rule);
  });

  it('says before any blob is opened whether it is worth opening', () => {
    expect(publicFailure(honest, 0)).toBeNull();
    expect(publicFailure(revealing(honest, a, { salt: sha256('x') }), 0)).toMatchObject({ rule: 'opening' });
  });
});
