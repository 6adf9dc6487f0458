import { sidesByStake } from '../stake-reward.js';

/** How the pot of an arena falls into stages and sides. Everything is exact: msat and bigint; what is left of a division is named. */

const PPM = 1_000_000n;

export type SideTerms =
  /** Validators get a fixed part, in ppm. */
  | { readonly sides: 'fixed'; readonly validatorSharePpm: number }
  /** By stakes; each side gets at least g, in ppm, in [0, 500,000]. */
  | { readonly sides: 'byStake'; readonly gPpm: number };
export const SIDES: SideTerms = { sides: 'fixed', validatorSharePpm: 200_000 };

/** What the interim ranking pays of the pot, in ppm. */
export const INTERIM_SHARE_PPM = 100_000;

/** One side: what stands behind it, and whether it has anybody to pay. */
export interface Side {
  readonly stakeMsat: bigint;
  readonly hasPayees: boolean;
}

/**
 * What the interim ranking (on set A) and the final one (on set B) pay, trainers and validators together. *Ours*: AIArena
 * (arXiv:2412.14566) pays every round whole. The interim one is rounded down.
 */
export function stagesOf(
  potMsat: bigint,
  interimSharePpm: number,
): { readonly interimMsat: bigint; readonly finalMsat: bigint } {
  const interimMsat = (potMsat * BigInt(interimSharePpm)) / PPM;
  return { interimMsat, finalMsat: potMsat - interimMsat };
}

/**
 * The two sides of what a stage pays. By stake as in AIArena (arXiv:2412.14566): trainers R0 (g + (1 - 2g) T / (T + S)), rounded down,
 * validators the rest; T + S = 0 counts as equal. A fixed share (*ours*) is that of validators, rounded down, trainers get the rest. The
 * part of a side without payees goes back and not to the other side, which would gain by keeping it empty.
 *
 * @returns  sums to `potMsat`
 */
export function sidesOf(
  potMsat: bigint,
  terms: SideTerms,
  { trainers, validators }: { readonly trainers: Side; readonly validators: Side },
): { readonly trainersMsat: bigint; readonly validatorsMsat: bigint; readonly returnedMsat: bigint } {
  const whole =
    terms.sides === 'byStake'
      ? sidesByStake(potMsat, terms.gPpm, trainers.stakeMsat, validators.stakeMsat)
      : fixedSides(potMsat, terms.validatorSharePpm);
  const trainersMsat = trainers.hasPayees ? whole.trainersMsat : 0n;
  const validatorsMsat = validators.hasPayees ? whole.validatorsMsat : 0n;
  return { trainersMsat, validatorsMsat, returnedMsat: potMsat - trainersMsat - validatorsMsat };
}

function fixedSides(potMsat: bigint, validatorSharePpm: number) {
  const validatorsMsat = (potMsat * BigInt(validatorSharePpm)) / PPM;
  return { trainersMsat: potMsat - validatorsMsat, validatorsMsat };
}
