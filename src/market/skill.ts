import { exp } from '../learning/math.js';

/**
 * A rating by Plackett-Luce (Weng & Lin 2011, JMLR 12, Algorithm 4), as OpenSkill has it: skill is normal with mean `mu` and standard
 * deviation `sigma`. Only + - * / and square roots, and our own exp: equal matches in equal order give equal bytes everywhere.
 */
export interface Skill {
  readonly mu: number;
  readonly sigma: number;
}

/** mu - 3 sigma of a new key is 0. */
export const NEW_SKILL: Skill = { mu: 25, sigma: 25 / 3 };
const BETA = 25 / 6;
/** A variance never shrinks below this part of itself in one match. */
const KAPPA = 0.0001;

/** How a match ended for a key, best first. */
export const RANKS = ['done', 'bar', 'late', 'rejected', 'absent', 'proven'] as const;
export type Rank = (typeof RANKS)[number];

/**
 * What one match makes of a skill. *Ours*: all others of one rank stand for one player, and with the bar, which every match has and good
 * work beats, they stand at the skill of a new key. So a rating follows from the key's own jobs alone, whatever else a reader knows; a
 * large round weighs as much as a small one; and who never failed never falls. A failure wins against nobody: else keys that do worse
 * on purpose would lift it.
 *
 * @param rank    not `bar`
 * @param others  ranks that others had
 * @param weight  in [0, 1]: the part of the match that counts
 */
export function afterMatch({ mu, sigma }: Skill, rank: Rank, others: ReadonlySet<Rank>, weight: number): Skill {
  const levels = RANKS.filter((other) => other !== rank && (other === 'bar' || others.has(other)));
  const place = RANKS.indexOf(rank);
  const above = levels.filter((other) => RANKS.indexOf(other) < place);
  const c = Math.sqrt(sigma * sigma + BETA * BETA + levels.length * (NEW_SKILL.sigma * NEW_SKILL.sigma + BETA * BETA));
  const mine = exp(mu / c);
  const theirs = exp(NEW_SKILL.mu / c);
  // One stage per level above: the key was among those left, and another was taken.
  const lost = above.map((_, i) => mine / (mine + (levels.length - i) * theirs));
  const won = rank === 'done' ? [mine / (mine + levels.length * theirs)] : [];
  const omega = won.reduce((sum, p) => sum + (1 - p), 0) - lost.reduce((sum, p) => sum + p, 0);
  const spread = [...lost, ...won].reduce((sum, p) => sum + p * (1 - p), 0);
  const variance = sigma * sigma;
  const delta = (sigma / c) * (variance / (c * c)) * spread;
  return {
    mu: mu + weight * (variance / c) * omega,
    sigma: Math.sqrt(variance * Math.max(1 - weight * delta, KAPPA)),
  };
}

/** mu - 3 sigma: what the key is at least, with 99.9 %. */
export function conservative({ mu, sigma }: Skill): number {
  return mu - 3 * sigma;
}
