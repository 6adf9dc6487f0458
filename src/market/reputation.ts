import type { Pubkey } from '../hash.js';
import type { NetworkName } from '../protocol/network.js';
import { complaintMatches } from './complaint-matches.js';
import { falseProofMatches } from './dispute-matches.js';
import { customerMatches, inOrder, trainerMatches, type Match } from './matches.js';
import { afterMatch, conservative, NEW_SKILL, type Skill } from './skill.js';
import type { JobState } from './state.js';
import { validatorMatches } from './validator-matches.js';

/** Whose word a reader takes. */
export interface ReaderTrust {
  /** The own key, those it follows, those it names. */
  readonly trusted: ReadonlySet<Pubkey>;
  /** Jobs of other networks do not count; where sats are real, neither do jobs without pay. */
  readonly network: NetworkName;
}

/** Matches of one issuer that count in full; with more of them each counts less, and together they count as much. */
export const ISSUER_MATCHES = 20;
/** What a match counts whose issuer the reader does not trust. All of them together are one issuer, so that keys made for it gain nothing. */
export const STRANGER_WEIGHT = 0.05;

export const ROLES = ['trainer', 'validator', 'customer'] as const;
export type RatedRole = (typeof ROLES)[number];

const MATCHES: Readonly<Record<RatedRole, (state: JobState, key: Pubkey) => Match[]>> = {
  trainer: trainerMatches,
  validator: validatorMatches,
  customer: (state, key) =>
    state.job?.author === key
      ? [...customerMatches(state, key), ...falseProofMatches(state, key), ...complaintMatches(state, key)]
      : [],
};

export interface CountedMatch extends Match {
  /** In [0, 1]. */
  readonly weight: number;
  /** Of mu - 3 sigma; over all matches they add up to it. */
  readonly gain: number;
}
export interface Rating extends Skill {
  /** mu - 3 sigma, at least 0, that of a new key: nobody gains by leaving a bad one. */
  readonly rating: number;
  /** In the order in which they counted. */
  readonly matches: readonly CountedMatch[];
}

/** @param jobs  in any order, any of them twice; those in which the key had no part change nothing */
export function rate(jobs: Iterable<JobState>, key: Pubkey, role: RatedRole, trust: ReaderTrust): Rating {
  const counted = inOrder(jobs).filter((state) => counts(state, trust.network));
  const matches = counted.flatMap((state) => MATCHES[role](state, key));
  const weigh = weights(matches, key, trust);
  let skill = NEW_SKILL;
  const told = matches.map((match): CountedMatch => {
    const before = skill;
    const weight = weigh(match);
    skill = afterMatch(skill, match.rank, match.others, weight);
    return { ...match, weight, gain: conservative(skill) - conservative(before) };
  });
  return { ...skill, rating: Math.max(0, conservative(skill)), matches: told };
}

function counts({ job }: JobState, network: NetworkName): boolean {
  return job?.content.network === network && (network === 'sandbox' || job.content.rail !== 'none');
}

/** What one issuer says together: ISSUER_MATCHES at most, times its weight. Nobody's word about itself counts. */
function weights(matches: readonly Match[], key: Pubkey, { trusted }: ReaderTrust): (match: Match) => number {
  const nameOf = (issuer: Pubkey) => (trusted.has(issuer) ? issuer : 'strangers');
  const numbers = new Map<string, number>();
  for (const { issuer } of matches)
    if (issuer !== null) numbers.set(nameOf(issuer), (numbers.get(nameOf(issuer)) ?? 0) + 1);
  return ({ issuer }) => {
    if (issuer === null) return 1;
    if (issuer === key) return 0;
    const share = Math.min(1, ISSUER_MATCHES / numbers.get(nameOf(issuer))!);
    return trusted.has(issuer) ? share : STRANGER_WEIGHT * share;
  };
}
