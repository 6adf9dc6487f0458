import { sha256, type Pubkey, type Sha256 } from '../../src/hash.js';
import { chainCommitment, chainElement } from '../../src/learning/seeds.js';
import { foldArena, type FoldedArena } from '../../src/market/arena/fold.js';
import { pendingAliases } from '../../src/market/arena/scored.js';
import { arenaPlan, ranksOf } from '../../src/market/arena/rank-rules.js';
import { seatsIn, type ArenaPhase, type ArenaStage, type ArenaState } from '../../src/market/arena/state.js';
import { aliasRoot, type AliasEntry } from '../../src/protocol/arena/alias.js';
import { arenaScoreCommitment, type ArenaScore } from '../../src/protocol/arena/scores.js';
import { modelCommitment } from '../../src/protocol/arena/submission.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { ChainScript, type ChainOptions } from './chain-script.js';
import { customer, ENGINE, hashOf, people, START_SEC, TERMS, type Person } from './job-contents.js';

/** An arena from its first event to its last, without a network: fixed keys, fixed times, real signatures. */

const CHAIN = sha256('arena chain');
const DRAWS = 6;

export const ARENA_TERMS: ContentOf<'arena-job'> = {
  ...{ title: 'digits, an arena', mode: 'arena', dataset: TERMS.dataset, evalA: TERMS.evalA, evalB: TERMS.evalB },
  arena: {
    potMsat: 1_000_000n,
    sides: { sides: 'fixed', validatorSharePpm: 200_000 },
    interimSharePpm: 100_000,
    qPpm: 500_000,
    ...{ bestStakes: null, bestValidators: null, lambdaPpm: 1_000_000, seats: 3, submissionsPerDay: 2 },
    maxModelBytes: 20_000_000,
    models: ['logreg', 'mlp'],
    ...{ interimUntil: START_SEC + 43_200, finalUntil: START_SEC + 86_400 },
  },
  ...{ network: 'sandbox', rail: 'instalments', payoutFloorMsat: 1_000n, revealTimeoutSec: 120 },
  ...{ claimWithinSec: 604_800, payWithinSec: 600, keyRelease: 'open', acceptedEngines: ['wasm'] },
  chainCommitment: chainCommitment(CHAIN, DRAWS),
  ...{ audit: 'granted', access: 'customer', relays: ['wss://relay.example'] },
};

/** With steps as of `ChainScript`. */
export interface ArenaOptions extends ChainOptions<ArenaScript> {
  readonly trainers?: readonly Person[];
  readonly validators?: readonly Person[];
  /** Loss of a trainer's model in ppm as a validator measures it; less is better. */
  readonly score?: (trainer: Pubkey, stage: number, validator: Pubkey) => number;
  readonly terms?: Partial<ContentOf<'arena-job'>>;
  readonly arena?: Partial<ContentOf<'arena-job'>['arena']>;
  /** Submissions, by trainer and stage: `trainer/stage`; else made up. */
  readonly models?: ReadonlyMap<string, ScriptedModel>;
}

export interface ScriptedModel {
  readonly model: Sha256;
  readonly sealed: string;
}

const nonceSecret = (who: Person) => sha256('arena nonces', who.pubkey);
const modelOf = ({ models }: ArenaOptions, who: Pubkey, stage: number): Sha256 =>
  models?.get(`${who}/${stage}`)?.model ?? hashOf(`model of ${who} in ${stage}`);
export const saltOf = (...names: readonly (string | number)[]) => sha256('arena salt', names.join('/'));
export const SEALED = 'A'.repeat(11_012);

export class ArenaScript extends ChainScript<ArenaOptions> {
  get folded(): FoldedArena {
    return foldArena(this.jobId, this.parsed);
  }
  get state(): ArenaState {
    return this.folded.state!;
  }
  get stage(): ArenaStage {
    return this.state.stages.at(-1)!;
  }
}

/** A call, so that the compiler does not hold it for unchanged. */
const phaseOf = (script: ArenaScript): ArenaPhase => script.folded.phase;

export function submissionOf(script: ArenaScript, who: Person, stage: number): ContentOf<'submit'> {
  const of = {
    job: script.jobId,
    stage,
    trainer: who.pubkey,
    model: modelOf(script.options, who.pubkey, stage),
    salt: saltOf(who.pubkey, stage),
  };
  const sealed = script.options.models?.get(`${who.pubkey}/${stage}`)?.sealed ?? SEALED;
  return { stage, commitment: modelCommitment(of), sealed };
}

/** Both stages, paid. Steps: `job`, `register/i`, and with the stage s: `submit/s/i`, `seen/s`, `list/s`, `root/s`, `draw/s`, ... `settlement/s`. */
export function scriptArena(options: ArenaOptions = {}): ArenaScript {
  const script = new ArenaScript(options);
  const { validators = people.slice(4, 7), terms = {}, arena = {} } = options;
  script.say(customer, 'arena-job', 'job', { ...ARENA_TERMS, ...terms, arena: { ...ARENA_TERMS.arena, ...arena } });
  validators.forEach((who, i) =>
    script.say(who, 'register', `register/${i}`, {
      ...{ engine: ENGINE, expires: START_SEC + 172_800 },
      nonceCommitment: chainCommitment(nonceSecret(who), DRAWS),
    }),
  );
  for (const stage of [0, 1]) if (phaseOf(script) === 'submitting') playStage(script, stage, validators);
  return script;
}

function playStage(script: ArenaScript, stage: number, validators: readonly Person[]): void {
  const { trainers = people.slice(0, 3) } = script.options;
  trainers.forEach((who, i) => script.say(who, 'submit', `submit/${stage}/${i}`, submissionOf(script, who, stage)));
  const ids = trainers.flatMap((_, i) =>
    script.has(`submit/${stage}/${i}`) ? [script.raw(`submit/${stage}/${i}`).id] : [],
  );
  script.say(customer, 'arena-seen', `seen/${stage}`, { stage, interval: 12 * stage, ids });
  script.say(customer, 'arena-list', `list/${stage}`, { stage, ids, until: START_SEC + 43_320 });
  if (phaseOf(script) !== 'listed') return;
  const entries = entriesOf(script, stage);
  const list = script.at(`list/${stage}`, 'arena-list').id;
  const salt = saltOf('aliases', stage);
  script.say(customer, 'alias-root', `root/${stage}`, {
    ...{ stage, list, root: aliasRoot({ job: script.jobId, stage, list, entries, salt }), count: entries.length },
    validators: validators.flatMap((_, i) => (script.has(`register/${i}`) ? [script.raw(`register/${i}`).id] : [])),
  });
  for (let turn = 0; turn < 3 && phaseOf(script) === 'scoring' && hasPending(script); turn++)
    playDraw(script, stage, turn, validators, entries);
  const root = script.at(`root/${stage}`, 'alias-root').id;
  script.say(customer, 'alias-table', `table/${stage}`, { stage, root, salt, entries });
  if (phaseOf(script) !== 'scored') return;
  const table = script.at(`table/${stage}`, 'alias-table').id;
  const ranks = [...ranksOf(script.stage, seatsIn(script.state, script.stage))];
  script.say(customer, 'ranking', `ranking/${stage}`, { stage, table, ranks });
  if (phaseOf(script) !== 'ranked') return;
  const { plan, totalMsat } = arenaPlan(script.state, script.stage);
  const ranking = script.at(`ranking/${stage}`, 'ranking').id;
  script.say(customer, 'arena-settlement', `settlement/${stage}`, { stage, ranking, plan: [...plan], totalMsat });
}

const hasPending = (script: ArenaScript) =>
  pendingAliases(script.stage, seatsIn(script.state, script.stage)).length > 0;

/** Aliases in the order of the models' hashes: as good as any that does not follow from the keys. */
function entriesOf(script: ArenaScript, stage: number): AliasEntry[] {
  return [...script.stage.submissions]
    .map(([who, { id }]) => ({ submission: id, model: modelOf(script.options, who, stage), salt: saltOf(who, stage) }))
    .sort((a, b) => (a.model < b.model ? -1 : 1));
}

function playDraw(
  script: ArenaScript,
  stage: number,
  turn: number,
  validators: readonly Person[],
  entries: readonly AliasEntry[],
): void {
  const step = (name: string, i?: number) =>
    [name, stage, ...(turn > 0 ? [`again${turn}`] : []), ...(i === undefined ? [] : [i])].join('/');
  const round = script.state.stages.reduce((sum, { rounds }) => sum + rounds.length, 0);
  const root = script.at(`root/${stage}`, 'alias-root').id;
  const said = (name: string) =>
    validators.flatMap((_, i) => (script.has(step(name, i)) ? [script.raw(step(name, i)).id] : []));
  validators.forEach((who, i) =>
    script.say(who, 'nonce', step('nonce', i), {
      round,
      list: root,
      nonce: chainElement(nonceSecret(who), DRAWS, round),
    }),
  );
  script.say(customer, 'seen', step('seen-nonces'), { round, of: 'nonce', ids: said('nonce') });
  const s = chainElement(CHAIN, DRAWS, round);
  const draw = script.say(customer, 'draw', step('draw'), { round, list: root, s, nonces: said('nonce') });
  if (draw === undefined || phaseOf(script) !== 'scoring') return;
  const { seats } = script.stage.rounds.at(-1)!;
  const { evalA, evalB } = script.state.job.content;
  const data = (stage === 0 ? evalA : evalB).commitment;
  const { score = scoreOfKey } = script.options;
  const sheetOf = (who: Person): ArenaScore[] =>
    (seats.get(who.pubkey) ?? []).map((alias) => {
      const trainer = [...script.stage.submissions].find(([, { id }]) => id === entries[alias]!.submission)![0];
      return { alias, model: entries[alias]!.model, scorePpm: score(trainer, stage, who.pubkey) };
    });
  const drawn = validators.map((who, i) => ({ who, i })).filter(({ who }) => seats.has(who.pubkey));
  for (const { who, i } of drawn) {
    const of = { job: script.jobId, round, draw: draw.id, validator: who.pubkey, engine: ENGINE, data };
    const commitment = arenaScoreCommitment({ ...of, scores: sheetOf(who), salt: saltOf('scores', round, who.pubkey) });
    script.say(who, 'score-commit', step('score-commit', i), { round, list: draw.id, commitment });
  }
  script.say(customer, 'seen', step('seen-score-commits'), { round, of: 'score-commit', ids: said('score-commit') });
  const list = script.say(customer, 'list', step('score-commits'), {
    round,
    of: 'score-commit',
    ids: said('score-commit'),
    until: START_SEC,
  });
  for (const { who, i } of drawn) {
    if (list === undefined || !script.has(step('score-commit', i))) continue;
    script.say(who, 'arena-scores', step('scores', i), {
      ...{
        round,
        list: list.id,
        commit: script.raw(step('score-commit', i)).id,
        salt: saltOf('scores', round, who.pubkey),
      },
      ...{ engine: ENGINE, data, scores: sheetOf(who) },
    });
  }
  script.say(customer, 'seen', step('seen-scores'), { round, of: 'score-reveal', ids: said('scores') });
  script.say(customer, 'list', step('score-reveals'), { round, of: 'score-reveal', ids: said('scores'), until: null });
}

/** Trainers in the order of their keys, the first is the best. */
function scoreOfKey(trainer: Pubkey): number {
  return 100_000 * (1 + people.findIndex(({ pubkey }) => pubkey === trainer));
}
