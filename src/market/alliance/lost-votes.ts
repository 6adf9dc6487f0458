import type { Pubkey } from '../../hash.js';
import type { EventOf } from '../../protocol/events.js';
import type { Prove } from '../stake.js';
import { evidenceOf, pairProof, type Part, type Proof } from '../slashing.js';
import type { AllianceState } from './state.js';
import type { Tally, Vote } from './vote.js';

/** What a job with `allianceSlash` takes of voters that lost. */

/**
 * Opt-in. A vote that more than half of the stake revealed in its round contradicts: by naming another aggregate that won, or by voting on the
 * same one to the other side. **Honest minorities lose by it**: their data may differ, and a vote is no proof. Who revealed nothing loses nothing,
 * for absence costs reward only; nor does a proposer, of whom no signature says what it did.
 *
 * @param stakes  of everybody that revealed; nobody else's counts
 * @param tally   of these votes; who else could have voted changes nothing
 * @returns       by voter that lost, in order of keys: who contradicts it, likewise
 */
export function contradicted(
  stakes: ReadonlyMap<Pubkey, bigint>,
  votes: ReadonlyMap<Pubkey, Vote>,
  { aggregate, offSide }: Pick<Tally, 'aggregate' | 'offSide'>,
): ReadonlyMap<Pubkey, readonly Pubkey[]> {
  const revealed = [...votes.keys()].sort();
  const sum = (keys: readonly Pubkey[]) => keys.reduce((all, key) => all + (stakes.get(key) ?? 0n), 0n);
  const all = sum(revealed);
  const lost = new Map<Pubkey, readonly Pubkey[]>();
  for (const [voter, reason] of offSide) {
    if (reason === 'silent') continue;
    const side = votes.get(voter)!.vote;
    const against = revealed.filter((key) => {
      const said = votes.get(key)!;
      return said.aggregate === aggregate && (reason === 'aggregate' || said.vote !== side);
    });
    if (2n * sum(against) > all) lost.set(voter, against);
  }
  return lost;
}

/** Taken once for each round: of each lock that stood behind the voter. */
export function partOf(round: number, sharePpm: number): Part {
  return { name: `vote/${round}`, sharePpm };
}

export interface LostVote {
  readonly round: number;
  readonly vote: EventOf<'vote'>;
  /** A keeper wants to see it, and every vote that it names. */
  readonly list: EventOf<'list'>;
  readonly part: Part;
  readonly proof: Proof;
}

/** In order of rounds and keys; none where the job takes nothing. */
export function lostVotes({ job, rounds }: Pick<AllianceState, 'job' | 'rounds'>): readonly LostVote[] {
  const { allianceSlashPpm } = job.content.alliance;
  if (allianceSlashPpm === null) return [];
  return rounds.flatMap(({ round, votes, tally, stakes }) => {
    if (votes === null || tally === null) return [];
    const said = new Map([...votes.by].map(([key, { content }]) => [key, content]));
    const part = partOf(round, allianceSlashPpm);
    return [...contradicted(stakes, said, tally)].map(([guilty, against]): LostVote => ({
      ...{ round, vote: votes.by.get(guilty)!, list: votes.list, part },
      proof: { guilty, signers: new Set([guilty, ...against]), part },
    }));
  });
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
