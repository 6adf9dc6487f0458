import { sha256, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import { chainCommitment, chainElement } from '../../src/learning/seeds.js';
import { foldAlliance, type FoldedAlliance } from '../../src/market/alliance/fold.js';
import { sideOf } from '../../src/market/alliance/list-rules.js';
import { allianceDue } from '../../src/market/alliance/settle-rules.js';
import {
  endOf,
  lastRound,
  type AlliancePhase,
  type AllianceRoundState,
  type AllianceState,
} from '../../src/market/alliance/state.js';
import { voteCommitment } from '../../src/market/alliance/vote.js';
import { groupCommitment } from '../../src/protocol/alliance/job.js';
import { proposalCommitment } from '../../src/protocol/alliance/proposal.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { ChainScript, type ChainOptions } from './chain-script.js';
import { customer, ENGINE, hashOf, people, pointerTo, SCHEMA, START_SEC, TERMS, type Person } from './job-contents.js';

/** An alliance from its first event to its last, without a network: fixed keys, fixed times, real signatures. */

const CHAIN = sha256('alliance chain');
const DRAWS = 4;
export const GROUP_KEY = sha256('alliance group');

export const ALLIANCE_TERMS: ContentOf<'alliance-job'> = {
  ...{ title: 'digits, an alliance', mode: 'alliance', schema: SCHEMA, model: TERMS.model, hyper: TERMS.hyper },
  ...{ rounds: 2, aggregation: 'fedavg', attackers: 0, seed: sha256('alliance seed') },
  alliance: {
    potMsat: 1_000_000n,
    proposers: { count: 2 },
    minVoters: 3,
    ...{ tolerancePpm: 10_000, allianceSlashPpm: null, groupCommitment: groupCommitment(GROUP_KEY) },
  },
  ...{ network: 'sandbox', rail: 'instalments', payoutFloorMsat: 1_000n },
  ...{ roundTimeoutSec: 900, voteTimeoutSec: 300, revealTimeoutSec: 120, claimWithinSec: 604_800, payWithinSec: 600 },
  ...{ deadline: START_SEC + 86_400, acceptedEngines: ['wasm'], chainCommitment: chainCommitment(CHAIN, DRAWS) },
  relays: ['wss://relay.example'],
};

/** With steps as of `ChainScript`. */
export interface AllianceOptions extends ChainOptions<AllianceScript> {
  readonly members?: readonly Person[];
  /** A voter's loss before and with the aggregate, in ppm. */
  readonly losses?: (voter: Pubkey, round: number) => readonly [beforePpm: number, afterPpm: number];
  readonly aggregate?: (voter: Pubkey, round: number) => Sha256;
  /** Can a voter open what a proposer of the round proposed? */
  readonly opens?: (voter: Pubkey, proposer: Pubkey, round: number) => boolean;
  readonly terms?: Partial<ContentOf<'alliance-job'>>;
  readonly alliance?: Partial<ContentOf<'alliance-job'>['alliance']>;
}

const nonceSecret = (who: Person) => sha256('alliance nonces', who.pubkey);
const saltOf = (...names: readonly (string | number)[]) => sha256('alliance salt', names.join('/'));
export const proposalHash = (who: Pubkey, round: number): Sha256 => hashOf(`proposal of ${who} in ${round}`);
export const aggregateOf = (round: number): Sha256 => hashOf(`aggregate of ${round}`);
/** Which of the people a key is. */
export const placeOf = (key: Pubkey): number => people.findIndex(({ pubkey }) => pubkey === key);

export class AllianceScript extends ChainScript<AllianceOptions> {
  get folded(): FoldedAlliance {
    return foldAlliance(this.jobId, this.parsed);
  }
  get state(): AllianceState {
    return this.folded.state!;
  }
  get round(): AllianceRoundState {
    return lastRound(this.state)!;
  }
  get members(): readonly Person[] {
    return this.options.members ?? people.slice(0, 6);
  }

  /** Of what those people said at this step, in order of their keys. */
  idsOf(step: string, who: readonly Person[]): EventId[] {
    const steps = who.map(({ pubkey }) => `${step}/${placeOf(pubkey)}`);
    return steps.flatMap((one) => (this.has(one) ? [this.raw(one).id] : []));
  }
}

/** A call, so that the compiler does not hold it for unchanged. */
const phaseOf = (script: AllianceScript): AlliancePhase => script.folded.phase;
const peopleOf = (keys: readonly Pubkey[]) => keys.map((key) => people[placeOf(key)]!);

/** All rounds, settled. Steps: `job`, `register/i`, and with the round r: `open/r`, `nonce/r/i`, `roles/r`, `commit/r/i`, `commits/r`, ... `settlement/r`. */
export function scriptAlliance(options: AllianceOptions = {}): AllianceScript {
  const script = new AllianceScript(options);
  const { terms = {}, alliance = {} } = options;
  const job = { ...ALLIANCE_TERMS, ...terms, alliance: { ...ALLIANCE_TERMS.alliance, ...alliance } };
  script.say(customer, 'alliance-job', 'job', job);
  for (const who of script.members)
    script.say(who, 'register', `register/${placeOf(who.pubkey)}`, {
      ...{ engine: ENGINE, expires: START_SEC + 172_800 },
      nonceCommitment: chainCommitment(nonceSecret(who), DRAWS),
    });
  for (let round = 0; round < job.rounds && phaseOf(script) === 'joining'; round++) playRound(script, round);
  return script;
}

function playRound(script: AllianceScript, round: number): void {
  const { members } = script;
  const until = START_SEC + 3_600 * (round + 1);
  script.say(customer, 'alliance-open', `open/${round}`, { round, members: script.idsOf('register', members), until });
  if (phaseOf(script) !== 'drawing') return;
  const open = script.at(`open/${round}`, 'alliance-open').id;
  for (const who of members) {
    const nonce = chainElement(nonceSecret(who), DRAWS, round);
    script.say(who, 'nonce', `nonce/${round}/${placeOf(who.pubkey)}`, { round, list: open, nonce });
  }
  const nonces = script.idsOf(`nonce/${round}`, members);
  script.say(customer, 'seen', `seen-nonces/${round}`, { round, of: 'nonce', ids: nonces });
  const s = chainElement(CHAIN, DRAWS, round);
  script.say(customer, 'roles', `roles/${round}`, { round, list: open, s, nonces, until });
  if (phaseOf(script) === 'committing') propose(script, round);
  if (phaseOf(script) === 'voting') vote(script, round);
  if (phaseOf(script) !== 'decided') return;
  const last = endOf(script.round)!;
  const { plan, carried: _, ...due } = allianceDue(script.state, script.round);
  script.say(customer, 'alliance-settlement', `settlement/${round}`, { round, last, ...due, plan: [...plan] });
}

/** What was said, seen, and listed. */
function list(
  script: AllianceScript,
  step: string,
  round: number,
  of: 'commit' | 'reveal' | 'score-commit' | 'score-reveal',
  said: string,
): void {
  const ids = script.idsOf(`${said}/${round}`, script.members);
  script.say(customer, 'seen', `seen-${step}/${round}`, { round, of, ids });
  const until = of === 'score-reveal' ? null : START_SEC + 3_600 * (round + 1);
  script.say(customer, 'list', `${step}/${round}`, { round, of, ids, until });
}

function propose(script: AllianceScript, round: number): void {
  const { draw, roles } = script.round;
  const proposers = roles?.state === 'drawn' ? peopleOf(roles.proposers) : [];
  const of = (who: Person) => ({
    ...{ job: script.jobId, round, proposer: who.pubkey, model: proposalHash(who.pubkey, round) },
    salt: saltOf('proposal', round, who.pubkey),
  });
  for (const who of proposers)
    script.say(who, 'commit', `commit/${round}/${placeOf(who.pubkey)}`, {
      ...{ round, shard: 0, open: draw!.id, commitment: proposalCommitment(of(who)) },
    });
  list(script, 'commits', round, 'commit', 'commit');
  if (phaseOf(script) !== 'revealing') return;
  for (const who of proposers) {
    const commit = `commit/${round}/${placeOf(who.pubkey)}`;
    if (!script.has(commit)) continue;
    const { model, salt } = of(who);
    script.say(who, 'proposal', `proposal/${round}/${placeOf(who.pubkey)}`, {
      ...{ round, list: script.raw(`commits/${round}`).id, commit: script.raw(commit).id, salt, model },
      ...{ engine: ENGINE, pointer: pointerTo(model), inline: 'AAAA' },
    });
  }
  list(script, 'proposals', round, 'reveal', 'proposal');
}

function vote(script: AllianceScript, round: number): void {
  const { roles, proposals } = script.round;
  const voters = roles?.state === 'drawn' ? peopleOf(roles.voters) : [];
  const { losses = () => [900_000, 800_000] as const, aggregate = (_: Pubkey) => aggregateOf(round) } = script.options;
  const { opens = () => true } = script.options;
  const wordOf = ({ pubkey }: Person) => {
    const [beforePpm, afterPpm] = losses(pubkey, round);
    const side = sideOf(script.state.job.content.alliance, { beforePpm, afterPpm });
    const opened = [...proposals!.by].filter(([proposer]) => opens(pubkey, proposer, round)).map(([, { id }]) => id);
    return { proposals: opened, aggregate: aggregate(pubkey, round), vote: side, beforePpm, afterPpm };
  };
  for (const who of voters) {
    const of = { job: script.jobId, round, list: proposals!.list.id, voter: who.pubkey };
    script.say(who, 'score-commit', `vote-commit/${round}/${placeOf(who.pubkey)}`, {
      ...{ round, list: proposals!.list.id },
      commitment: voteCommitment(of, wordOf(who), saltOf('vote', round, who.pubkey)),
    });
  }
  list(script, 'vote-commits', round, 'score-commit', 'vote-commit');
  if (phaseOf(script) !== 'vote-revealing') return;
  for (const who of voters) {
    const commit = `vote-commit/${round}/${placeOf(who.pubkey)}`;
    if (!script.has(commit)) continue;
    script.say(who, 'vote', `vote/${round}/${placeOf(who.pubkey)}`, {
      ...{ round, list: script.raw(`vote-commits/${round}`).id, commit: script.raw(commit).id },
      ...{ salt: saltOf('vote', round, who.pubkey), ...wordOf(who), engine: ENGINE },
    });
  }
  list(script, 'votes', round, 'score-reveal', 'vote');
}
