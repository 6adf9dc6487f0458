import type { Pubkey } from '../../hash.js';
import { isWhole } from '../conduct.js';
import { broken } from '../draft.js';
import type { Violation } from '../state.js';
import { MISSES_TO_LOSE } from '../validator-seats.js';
import type { FoldedArena } from './fold.js';
import type { ArenaStage } from './state.js';

/**
 * What a customer's own times say against it: a step that it ended before the time that it had said, without somebody who could still come.
 * No rule of the fold reads a clock; times of others count for nothing.
 */
export function arenaConduct(folded: FoldedArena): Omit<Violation, 'author'> | null {
  for (const stage of folded.state?.stages ?? []) {
    const cut = cutShort(folded, stage);
    if (cut !== null) return { event: cut.event.id, ...broken('deadline', cut.detail) };
  }
  return null;
}

/** Validators that lost their seats before a stage: nobody waits for them. */
function lostBefore({ state }: FoldedArena, number: number): ReadonlySet<Pubkey> {
  const missed = new Map<Pubkey, number>();
  for (const { rounds } of state!.stages.slice(0, number))
    for (const { seats, reveals } of rounds)
      for (const key of seats.keys()) missed.set(key, reveals.has(key) ? 0 : (missed.get(key) ?? 0) + 1);
  return new Set([...missed].filter(([, times]) => times >= MISSES_TO_LOSE).map(([key]) => key));
}

function cutShort(folded: FoldedArena, { stage: number, list, validators, rounds }: ArenaStage) {
  const { interimUntil, finalUntil } = folded.job!.content.arena;
  const early = (event: { readonly createdAt: number }, until: number) => event.createdAt < until;
  const silent = (expected: Iterable<Pubkey>, came: ReadonlySet<Pubkey> | ReadonlyMap<Pubkey, unknown>) =>
    [...expected].find((key) => !came.has(key) && isWhole(folded, key));
  const until = number === 0 ? interimUntil : finalUntil;
  if (early(list, until))
    return { event: list, detail: `stage ${number} was listed before its time: submissions count until ${until}` };
  for (const [turn, { draw, commits, commitList, reveals, revealList }] of rounds.entries()) {
    if (turn === 0 && early(draw, list.content.until)) {
      const named = new Set(draw.content.nonces);
      const authors = [...folded.state!.byId.values()].filter(({ id }) => named.has(id)).map(({ author }) => author);
      const absent = silent(validators.keys(), new Set([...authors, ...lostBefore(folded, number)]));
      if (absent !== undefined) return { event: draw, detail: `drawn before its time, without the nonce of ${absent}` };
    }
    const opening = commitList?.content.until ?? null;
    if (opening === null || revealList === null || !early(revealList, opening)) continue;
    const absent = silent(commits.keys(), reveals);
    if (absent !== undefined)
      return { event: revealList, detail: `listed before its time, without the scores of ${absent}` };
  }
  return null;
}
