import type { EventId, Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { MEASURES, type Measured, type ScoreRow } from '../protocol/score.js';
import { rungOf } from './auction.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import type { RoundState } from './state.js';

/** Signed scores that cannot all be right: one engine gives one value for equal models and samples. */

type Sheet = EventOf<'scores'>;
export const FIELDS = [...MEASURES, 'spot'] as const satisfies readonly Measured[];

export interface Contradiction {
  readonly validator: Pubkey;
  /** What it signed. */
  readonly scores: EventId;
  readonly submission: EventId;
  readonly shard: number;
  readonly field: Measured;
  /** Sheets on the same engine that say the same other value: more than half of those on it. In order of their ids. */
  readonly witnesses: readonly EventId[];
}

/** Native libraries and GPUs promise results within a tolerance only. */
export function isExactEngine(engine: string): boolean {
  const rung = rungOf(engine);
  return rung === 'wasm' || rung === 'cpu';
}

/** As a text that is equal exactly where the value is; null: it says nothing. */
export function valueOf(row: ScoreRow | undefined, field: Measured): string | null {
  if (row === undefined) return null;
  if (field !== 'spot') return String(row[field]);
  return row.spot === null ? null : `${row.spot.segment}:${row.spot.hash}`;
}

export function rowIn({ content }: Sheet, submission: EventId): ScoreRow | undefined {
  return content.scores.find((row) => row.submission === submission);
}

/** Of two repetitions those of one segment can be compared; what one of them did not repeat contradicts nothing. */
export function differs(a: string | null, b: string | null, field: Measured): boolean {
  if (a === null || b === null || a === b) return false;
  return field !== 'spot' || a.split(':')[0] === b.split(':')[0];
}

/** The first of each validator, in order of (shard, field), that more than half of those on its engine contradict. */
export function contradictions({ listedScoreReveals }: Pick<RoundState, 'listedScoreReveals'>): Contradiction[] {
  const sheets = [...listedScoreReveals.values()].filter(({ content }) => isExactEngine(content.engine));
  return sheets.flatMap((sheet) => firstOf(sheet, peersOf(sheet, sheets)) ?? []);
}

/** All on its engine, itself among them. */
function peersOf(sheet: Sheet, sheets: readonly Sheet[]): readonly Sheet[] {
  return sheets.filter(({ content }) => content.engine === sheet.content.engine);
}

function firstOf(sheet: Sheet, peers: readonly Sheet[]): Contradiction | null {
  const { author: validator, id: scores } = sheet;
  for (const row of [...sheet.content.scores].sort((a, b) => a.shard - b.shard))
    for (const field of FIELDS) {
      const { submission, shard } = row;
      const witnesses = outvotedBy(sheet, peers, submission, field);
      if (witnesses.length > 0) return { validator, scores, submission, shard, field, witnesses };
    }
  return null;
}

/** Sheets that say one other value, if they are more than half. */
function outvotedBy(sheet: Sheet, peers: readonly Sheet[], submission: EventId, field: Measured): EventId[] {
  const said = valueOf(rowIn(sheet, submission), field);
  const votes = new Map<string, EventId[]>();
  for (const peer of peers) {
    const value = valueOf(rowIn(peer, submission), field);
    if (value !== null && differs(said, value, field)) votes.set(value, [...(votes.get(value) ?? []), peer.id]);
  }
  return ([...votes.values()].find((ids) => 2 * ids.length > peers.length) ?? []).sort();
}

/** The customer's event that names one: its validator has no seat from the next round on, and what it was not paid is not owed. */
export function applyValidatorFraud(
  draft: Draft,
  round: DraftRound,
  { content, ...event }: EventOf<'validator-fraud'>,
): Broken | null {
  const bad = (detail: string) => broken('validator-fraud', detail);
  const { validator, scores } = content;
  if (content.round !== round.round || round.scoreRevealList === null)
    return bad('no scores of the open round are listed');
  if (draft.validatorFrauds.has(validator)) return bad(`${validator} is proven to have said false already`);
  if (!round.scoreRevealList.content.ids.includes(scores)) return bad('it cites no listed scores');
  const isWhole = round.scoreRevealList.content.ids.every((id) => draft.byId.has(id));
  if (isWhole && !contradictions(round).some((one) => spell(one) === spell(content)))
    return bad(`the scores do not prove it of ${validator}`);
  draft.validatorFrauds.set(validator, { content, ...event });
  round.liars.add(validator);
  return null;
}

const spell = (one: Contradiction): string =>
  [one.validator, one.scores, one.submission, one.shard, one.field, ...one.witnesses].join(' ');
