import type { Round, Walked } from './rules.js';
import { fields, must, nameOf, type Events, type RawEvent } from './wire.js';

/** "Patience" of docs/protocol.md: the customer's words against its own words. */
export function auditPatience(walked: Walked, events: Events): void {
  const { job, terms, rounds } = walked;
  const spine = events.chains.get(job.pubkey)!.events;
  const award = spine.find((event) => nameOf(event) === '4626/award');
  if (award !== undefined) must(award.created_at <= terms.deadline, award.id, 'awarded after the deadline');
  spine.forEach((event, at) => {
    if (nameOf(event) === '4626/replace') auditReplacement(walked, spine.slice(0, at), event);
  });
  for (const round of rounds) auditRound(walked, events, round);
}

function auditReplacement({ terms, rounds }: Walked, before: readonly RawEvent[], event: RawEvent): void {
  const { shard, out, reason } = fields(event);
  const given = before.findLast((one) => {
    const name = nameOf(one);
    if (name === '4626/award') return fields(one).winners.some((seat) => seat.shard === shard);
    return name === '4626/replace' && fields(one).shard === shard;
  });
  const last = rounds[before.filter((one) => nameOf(one) === '4622/open').length - 1];
  const verdict =
    last?.close && fields(last.close).rejected.find((row) => row.trainer === out && row.shard === shard)?.rule;
  const isAbsence = verdict === 'absent' || verdict === 'no-reveal';
  const missedVoid =
    last?.voided != null &&
    last.seats.some((seat) => seat.trainer === out && seat.shard === shard) &&
    !last.commits.has(shard);
  if (reason === 'absent') must(isAbsence || missedVoid, event.id, 'it was not absent');
  if (reason === 'rejected') must(verdict != null && !isAbsence, event.id, 'it was not rejected');
  if (reason === 'not-started')
    must(event.created_at >= given!.created_at + terms.readyTimeoutSec, event.id, 'before it had time to start');
}

function auditRound({ terms }: Walked, events: Events, round: Round): void {
  const { open, commitList, revealList, seats, commits, reveals } = round;
  const leavesTime = (event: RawEvent, sec: number): void => {
    const least = event.created_at + sec - Math.min(60, Math.ceil(sec / 4));
    must(fields(event).until! >= least, event.id, 'its time is shorter than the job says');
  };
  leavesTime(open, terms.roundTimeoutSec);
  if (commitList === null) return;
  const isWhole = ({ trainer }: { trainer: string }): boolean => {
    const chain = events.chains.get(trainer);
    return chain !== undefined && chain.fork === null && chain.broken === null && chain.gapBefore === null;
  };
  const hasLeft = ({ trainer }: { trainer: string }): boolean =>
    events.chains.get(trainer)!.events.some((event) => nameOf(event) === '4628/resign');
  const late = seats.some((seat) => !commits.has(seat.shard) && isWhole(seat) && !hasLeft(seat));
  must(!late || commitList.created_at >= fields(open).until!, commitList.id, 'listed before its time');
  leavesTime(commitList, terms.revealTimeoutSec);
  if (revealList === null || reveals.size === commits.size) return;
  must(revealList.created_at >= fields(commitList).until!, revealList.id, 'listed before its time');
}
