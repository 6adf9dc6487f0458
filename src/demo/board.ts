import { withoutControls } from '../terminal/color.js';
import type { Line } from './processes.js';

/** What the live view shows, as values; everything in it comes from events of the processes and of the job. */

export interface Rejection {
  /** From 0. */
  readonly round: number;
  readonly rule: string;
  readonly detail: string;
}

export interface TrainerRow {
  readonly name: string;
  /** Hex; empty until it is ready. */
  readonly pubkey: string;
  readonly shard: number | null;
  /** From 0; null before the first. */
  readonly round: number | null;
  readonly doing: string;
  /** What its own wallet confirmed. */
  readonly receivedMsat: bigint;
  readonly rejections: readonly Rejection[];
  readonly hasFailed: boolean;
}

export interface RoundRow {
  /** From 0. */
  readonly round: number;
  readonly isVoid: boolean;
  /** In [0, 1] on evaluation set A; null until the round is closed. */
  readonly accuracy: number | null;
  readonly accepted: number;
  readonly rejected: number;
}

export interface Board {
  readonly title: string;
  readonly sandbox: string;
  readonly customer: string;
  readonly trainers: readonly TrainerRow[];
  readonly validators: readonly TrainerRow[];
  readonly totalRounds: number;
  readonly rounds: readonly RoundRow[];
  /** Accuracy of guessing, in [0, 1]; null until the number of classes is known. */
  readonly chance: number | null;
}

export function newTrainer(name: string): TrainerRow {
  return {
    name,
    pubkey: '',
    shard: null,
    round: null,
    doing: 'starting',
    receivedMsat: 0n,
    rejections: [],
    hasFailed: false,
  };
}

/** The row after one event of `serve-trainer --json` or `serve-validator --json`. */
export function trainerAfter(row: TrainerRow, line: Line): TrainerRow {
  const doing = describeEvent(line);
  if (doing === null) return row;
  const round = numberOf(line, 'round');
  const next = { ...row, doing, ...(round === null ? {} : { round }) };
  switch (line['event']) {
    case 'ready':
      return { ...next, pubkey: textOf(line, 'pubkey') };
    case 'awarded':
      return { ...next, shard: numberOf(line, 'shard') };
    case 'rejected':
      return {
        ...next,
        rejections: [
          ...row.rejections,
          { round: round ?? 0, rule: textOf(line, 'rule'), detail: textOf(line, 'detail') },
        ],
      };
    case 'paid':
      return { ...next, receivedMsat: row.receivedMsat + BigInt(numberOf(line, 'amountMsat') ?? 0) };
    case 'done':
      return { ...next, receivedMsat: BigInt(numberOf(line, 'paidMsat') ?? 0) };
    default:
      return next;
  }
}

/** A few words for an event of `serve-trainer --json` or `serve-validator --json`, or null for one that says nothing new. */
export function describeEvent(line: Line): string | null {
  const sat = (name: string): string => satText(BigInt(numberOf(line, name) ?? 0));
  switch (line['event']) {
    case 'ready':
      return 'waiting for jobs';
    case 'bid':
      return `bid ${sat('priceMsat')} per round`;
    case 'awarded':
      return 'opening its shard';
    case 'registered':
      return 'registered';
    case 'taken':
      return 'has a seat';
    case 'round':
      return 'training';
    case 'missed':
      return 'gave no scores';
    case 'committed':
      return 'committed';
    case 'revealed':
      return 'revealed';
    case 'accepted':
      return 'accepted';
    case 'rejected':
      return `rejected: ${textOf(line, 'rule')}`;
    case 'paid':
      return `paid ${sat('amountMsat')}`;
    case 'unpaid':
      return `not paid: ${sat('amountMsat')}`;
    case 'done':
      return 'done';
    case 'lost':
    case 'skipped':
      return `${line['event']}: ${textOf(line, 'reason')}`;
    case 'error':
      return `error: ${textOf(line, 'message')}`;
    default:
      return null;
  }
}

export function satText(msat: bigint): string {
  return `${msat / 1000n} sat`;
}

/** `1 round`, `2 rounds` */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `97.5 %` */
export function percentText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

export function numberOf(line: Line, name: string): number | null {
  const value = line[name];
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}

function textOf(line: Line, name: string): string {
  const value = line[name];
  return typeof value === 'string' ? withoutControls(value).replaceAll('\n', ' ') : '';
}
