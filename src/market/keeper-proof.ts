import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { differs, isExactEngine, rowIn, valueOf } from './contradictions.js';
import { contradicted, partOf } from './alliance/lost-votes.js';
import { tally } from './alliance/vote.js';
import { guiltOf, type Part } from './slashing.js';
import { committedEnd } from './spot-rules.js';

/** What the keeper of a lock goes by: it knows nothing of a job but what it is shown, all of it signed. */

export interface KeptLock {
  readonly lock: Sha256;
  readonly job: EventId;
  readonly staker: Pubkey;
}

/** What of a lock is to be taken: null: all of it. */
export interface Condemnation {
  readonly part: Part | null;
}

/**
 * Do these events condemn whom the lock answers for? That is its staker or, shown its delegation, the operator it stands behind.
 *
 * @param events    parsed, their signatures checked
 * @param stakeOf   own stake of a key in the job, as far as the keeper has it
 * @returns         null: they condemn somebody else, or nobody
 */
export function condemnation(
  { lock, job, staker }: KeptLock,
  events: readonly JobEvent[],
  stakeOf: (staker: Pubkey) => bigint,
): Condemnation | null {
  const behind = events.find(
    (event): event is EventOf<'delegate'> =>
      event.type === 'delegate' && event.author === staker && event.job === job && event.content.lock === lock,
  );
  const rest = events.filter(({ type }) => type !== 'delegate');
  const operator = behind?.content.operator ?? staker;
  const guilt = guiltOf(rest) ?? guiltByWitnesses(rest);
  if (guilt !== null) return guilt.job === job && guilt.staker === operator ? { part: null } : null;
  return lostVote(job, operator, rest, stakeOf);
}

/**
 * An alliance's job that takes a part of voters that lost, the list of a round's votes, and all votes that it names: contradicted by the
 * owners of more than half of the stake that voted. Of this the keeper knows what each has locked itself, and takes nobody's word for it.
 */
function lostVote(
  jobId: EventId,
  voter: Pubkey,
  events: readonly JobEvent[],
  stakeOf: (staker: Pubkey) => bigint,
): Condemnation | null {
  const job = one(events, 'alliance-job');
  const list = one(events, 'list');
  const sharePpm = job?.content.alliance.allianceSlashPpm ?? null;
  if (job === null || list === null || sharePpm === null || job.id !== jobId) return null;
  const { of, round, ids } = list.content;
  if (list.author !== job.author || list.job !== job.id || of !== 'score-reveal') return null;
  const votes = events.filter((event): event is EventOf<'vote'> => event.type === 'vote');
  const isOfList = ({ id, content }: EventOf<'vote'>) => ids.includes(id) && content.round === round;
  const by = new Map(votes.filter((vote) => isOfList(vote)).map(({ author, content }) => [author, content]));
  if (by.size !== ids.length) return null;
  const stakes = new Map([...by.keys()].map((key) => [key, stakeOf(key)]));
  return contradicted(stakes, by, tally(stakes, by)).has(voter) ? { part: partOf(round, sharePpm) } : null;
}

/**
 * The customer's `fraud` or `validator-fraud` with job, award, what it condemns and the scores that contradict it to the bit: signed by more
 * than half as many of the award's validators as the job has seats. The fold asks less, of all that was listed; a keeper sees no list.
 */
function guiltByWitnesses(events: readonly JobEvent[]) {
  const job = one(events, 'job');
  const award = one(events, 'award');
  const proof = one(events, 'validator-fraud') ?? one(events, 'fraud');
  if (job === null || award === null || proof === null) return null;
  const isOfJob = events.every((event) => event.id === job.id || event.job === job.id);
  if (!isOfJob || award.author !== job.author || proof.author !== job.author) return null;
  const named = new Set(award.content.validators?.map(({ validator }) => validator));
  const seats = job.content.validators?.count ?? 0;
  const sheets = events.filter(
    (event): event is EventOf<'scores'> => event.type === 'scores' && named.has(event.author),
  );
  const witnesses =
    proof.type === 'fraud' ? againstTrainer(job, proof, events, sheets) : againstValidator(proof, sheets);
  const guilty = proof.type === 'fraud' ? proof.content.trainer : proof.content.validator;
  const isEnough = 2 * new Set(witnesses).size > seats && seats > 0;
  return isEnough ? { job: job.id, staker: guilty } : null;
}

type Sheet = EventOf<'scores'>;

function againstTrainer(
  { content: { spot } }: EventOf<'job'>,
  { content }: EventOf<'fraud'>,
  events: readonly JobEvent[],
  sheets: readonly Sheet[],
): Pubkey[] {
  const { trainer, submission, segment, repeated, round } = content;
  const reveal = events.find(({ id }) => id === submission);
  if (spot === null || reveal?.type !== 'reveal' || reveal.author !== trainer) return [];
  const end = committedEnd(reveal.content, segment);
  if (end === undefined || end === repeated || reveal.content.engine !== spot.engine) return [];
  const saysSo = (sheet: Sheet): boolean => {
    const found = rowIn(sheet, submission)?.spot;
    return found?.segment === segment && found.hash === repeated;
  };
  return sheets
    .filter((sheet) => sheet.content.round === round && sheet.content.engine === spot.engine && saysSo(sheet))
    .map(({ author }) => author);
}

function againstValidator({ content }: EventOf<'validator-fraud'>, sheets: readonly Sheet[]): Pubkey[] {
  const { validator, scores, submission, field, witnesses, round } = content;
  const accused = sheets.find(({ id }) => id === scores);
  if (accused?.author !== validator || !isExactEngine(accused.content.engine)) return [];
  const said = valueOf(rowIn(accused, submission), field);
  const against = sheets.filter(
    (sheet) =>
      witnesses.includes(sheet.id) &&
      sheet.content.round === round &&
      accused.content.round === round &&
      sheet.content.engine === accused.content.engine &&
      differs(said, valueOf(rowIn(sheet, submission), field), field),
  );
  const values = new Set(against.map((sheet) => valueOf(rowIn(sheet, submission), field)));
  return values.size === 1 ? against.map(({ author }) => author) : [];
}

/** The only event of that type. */
function one<K extends JobEvent['type']>(events: readonly JobEvent[], type: K): EventOf<K> | null {
  const found = events.filter((event) => event.type === type);
  return found.length === 1 ? (found[0] as EventOf<K>) : null;
}
