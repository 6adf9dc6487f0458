import { sha256, sha256Hex } from '../../src/hash.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { scoreCommitment, seatHash } from '../../src/protocol/validator.js';
import { ENGINE, hashOf, person, type Person } from './job-contents.js';
import type { JobScript } from './job-script.js';

/** What honest validators of a scripted job say. Their chains of nonces end in secrets that the tests know. */

/** As they register; `inOrder` is how they are taken. */
export const scorers: readonly Person[] = Array.from({ length: 7 }, (_, i) => person(`validator ${i}`));

export function inOrder(script: JobScript, count: number): readonly Person[] {
  const hash = ({ pubkey }: Person) => seatHash(script.jobId, pubkey);
  return scorers.slice(0, count).sort((a, b) => (hash(a) < hash(b) ? -1 : 1));
}

function linkOf(who: Person, rounds: number, round: number): Uint8Array {
  return round === rounds ? sha256('nonces', who.pubkey) : sha256('nmkt/1/chain', linkOf(who, rounds, round + 1));
}

export function registerOf(script: JobScript, who: Person): ContentOf<'register'> {
  const { rounds, deadline } = script.at('job', 'job').content;
  return { engine: ENGINE, nonceCommitment: sha256Hex(linkOf(who, rounds, 0)), expires: deadline };
}

export const seatOf = (who: Person) => hashOf(`grant of ${who.pubkey}`);

export function nonceOf(script: JobScript, round: number, who: Person): ContentOf<'nonce'> {
  const { rounds } = script.at('job', 'job').content;
  return { round, list: script.at(`commits/${round}`, 'list').id, nonce: linkOf(who, rounds, round) };
}

const saltOf = (round: number, who: Person) => sha256(`score salt ${round}`, who.pubkey);

export function scoreCommitOf(
  script: JobScript,
  round: number,
  who: Person,
  sheet: ContentOf<'scores'>,
): ContentOf<'score-commit'> {
  const { list, engine, data, scores } = sheet;
  const of = { job: script.jobId, round, list, validator: who.pubkey, engine, data, scores, salt: saltOf(round, who) };
  return { round, list, commitment: scoreCommitment(of) };
}

export function openingOf(
  script: JobScript,
  round: number,
  who: Person,
  index: number,
): NonNullable<ContentOf<'scores'>['opening']> {
  const list = script.at(`score-commits/${round}`, 'list').id;
  return { list, commit: script.at(`score-commit/${round}/${index}`, 'score-commit').id, salt: saltOf(round, who) };
}
