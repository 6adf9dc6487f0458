import type { ValidatorDescription } from '../roles/describe-validators.js';
import type { RoundDescription, TrainerDescription } from '../roles/describe-work.js';
import { table } from '../terminal/table.js';

/** Rounds and trainers of a job, for people. */

export function sats(msat: bigint): string {
  return `${Number(msat) / 1000} sat`;
}

interface Score {
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly perplexity?: number | null;
}

export function score({ loss, accuracy, perplexity }: Score): string {
  if (perplexity != null) return `perplexity ${perplexity}`;
  if (accuracy !== null) return `accuracy ${accuracy}`;
  return loss === null ? '-' : `loss ${loss}`;
}

export function roundTable({
  rounds,
  plannedRounds,
}: {
  readonly rounds: readonly RoundDescription[];
  readonly plannedRounds: number | null;
}): string {
  if (rounds.length === 0) return '';
  return table([
    [`round of ${plannedRounds}`, 'state', 'accepted', 'on set A', 'paid', 'rejected'],
    ...rounds.map((round) => [
      round.round + 1,
      round.scoredBy === 'fallback' ? `${round.state}, validators: fallback` : round.state,
      round.accepted,
      score(round),
      sats(round.paidMsat),
      round.rejected.map(({ shard, rule }) => `shard ${shard}: ${rule}`).join(', '),
    ]),
  ]);
}

export function trainerTable({ trainers }: { readonly trainers: readonly TrainerDescription[] }): string {
  if (trainers.length === 0) return '';
  return table([
    ['trainer', 'shard', 'seat', 'accepted', 'paid', 'owed'],
    ...trainers.map((trainer) => [
      trainer.pubkey,
      trainer.shard,
      trainer.seat,
      trainer.rounds,
      sats(trainer.paidMsat),
      sats(trainer.owedMsat),
    ]),
  ]);
}

export function validatorTable({ validators }: { readonly validators: readonly ValidatorDescription[] }): string {
  if (validators.length === 0) return '';
  const rounds = (list: readonly number[]) => list.map((round) => round + 1).join(', ');
  return table([
    ['validator', 'seat', 'scored', 'absent in', 'apart in', 'paid', 'owed'],
    ...validators.map((one) => [
      ...[one.pubkey, one.seat, one.rounds, rounds(one.absent), rounds(one.apart)],
      ...[sats(one.paidMsat), sats(one.owedMsat)],
    ]),
  ]);
}
