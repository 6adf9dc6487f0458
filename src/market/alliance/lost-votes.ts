import type { Pubkey } from '../../hash.js';
import type { EventOf } from '../../protocol/events.js';
import type { Prove } from '../stake.js';
import { evidenceOf, pairProof, type Part, type Proof } from '../slashing.js';
import type { AllianceRoundState, AllianceState } from './state.js';
import { tally, type Vote } from './vote.js';

/** What a job with `allianceSlash` takes of voters that lost. */

/**
 * Opt-in. A vote that more than half of the stake revealed in its round contradicts: by naming another aggregate that won, or by voting on the
 * same one to the other side. **Honest minorities lose by it**: their data may differ, and a vote is no proof. Who revealed nothing loses nothing,
 * for absence costs reward only; nor does a proposer, of whom no signature says what it did.
 *
 * @param stakes  of everybody that revealed; nobody else's counts
 * @returns       the voters that contradict it, in order of keys; null: too few, or the vote did not lose
 */
export function whoContradict(
  stakes: ReadonlyMap<Pubkey, bigint>,
  votes: ReadonlyMap<Pubkey, Vote>,
  voter: Pubkey,
): readonly Pubkey[] | null {
  const revealed = new Map([...votes.keys()].sort().map((key) => [key, stakes.get(key) ?? 0n]));
  const { aggregate, offSide } = tally(revealed, votes);
  const reason = offSide.get(voter);
  if (reason === undefined || reason === 'silent') return null;
  const side = votes.get(voter)!.vote;
  const against = [...revealed].filter(([key]) => {
    const said = votes.get(key)!;
    return said.aggregate === aggregate && (reason === 'aggregate' || said.vote !== side);
  });
  const sum = (some: readonly (readonly [Pubkey, bigint])[]) => some.reduce((all, [, stake]) => all + stake, 0n);
  return 2n * sum(against) > sum([...revealed]) ? against.map(([key]) => key) : null;
}

/** Taken once for each round: of each lock that stood behind the voter. */
export function partOf(round: number, sharePpm: number): Part {
  return { name: `vote/${round}`, sharePpm };
}

export interface LostVote {
  readonly round: number;
  readonly vote: EventOf<'vote'>;
  /** What a keeper wants to see: the list, and every vote that it names. */
  readonly list: EventOf<'list'>;
  readonly votes: readonly EventOf<'vote'>[];
  readonly proof: Proof;
}

/** In order of rounds and keys; none where the job takes nothing. */
export function lostVotes({ job, rounds }: Pick<AllianceState, 'job' | 'rounds'>): readonly LostVote[] {
  const { allianceSlashPpm } = job.content.alliance;
  if (allianceSlashPpm === null) return [];
  return rounds.flatMap((round) => {
    const { votes } = round;
    if (votes === null) return [];
    return [...votes.by.values()].flatMap((vote): LostVote[] => {
      const proof = proofOfVote(round, vote, allianceSlashPpm);
      return proof === null
        ? []
        : [{ round: round.round, vote, list: votes.list, votes: [...votes.by.values()], proof }];
    });
  });
}

function proofOfVote(
  { round, votes, stakes }: AllianceRoundState,
  { author }: EventOf<'vote'>,
  sharePpm: number,
): Proof | null {
  const said = new Map([...votes!.by].map(([key, { content }]) => [key, content]));
  const against = whoContradict(stakes, said, author);
  return against === null
    ? null
    : { guilty: author, signers: new Set([author, ...against]), part: partOf(round, sharePpm) };
}

/** What a slash in an alliance rests on: two signatures that contradict each other, or a vote that lost where the job takes a part for it. */
export function proveIn(state: AllianceState): Prove {
  return (slash) => {
    const found = evidenceOf(state.job.author, slash, (id) => state.byId.get(id));
    if (typeof found === 'string') return found;
    const pair = pairProof(found);
    if (pair !== null) return pair;
    const lost = lostVotes(state).find(({ vote }) => found.length === 1 && vote.id === found[0]!.id);
    if (lost === undefined) return 'its evidence condemns nobody';
    const lock = state.rounds[lost.round]!.book.locks.get(slash.content.lock);
    return lock !== undefined && lock.leftAt === null ? lost.proof : 'that lock did not stand behind the vote';
  };
}
