import type { EventId, Pubkey } from '../hash.js';
import { workScore } from '../learning/scoring.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { acceptRound, type Finding } from './acceptance.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { owes } from './money-rules.js';

/** The customer's events of a round, each checked against what the events before it imply. */
export function roundRules(draft: Draft, event: JobEvent): Broken | null {
  if (event.type === 'open') return applyOpen(draft, event);
  const round = draft.rounds.at(-1);
  if (round === undefined || round.close !== null || round.voided !== null)
    return broken('out-of-place', `a ${event.type} while no round is open`);
  switch (event.type) {
    case 'seen':
      return applySeen(round, event);
    case 'list':
      return event.content.of === 'commit' ? listCommits(draft, round, event) : listReveals(draft, round, event);
    case 'draw':
      return event.content.round === round.round ? null : broken('draw', `round ${round.round} is open`);
    case 'scores':
      return applyScores(round, event);
    case 'close':
      return applyClose(draft, round, event);
    case 'void':
      return applyVoid(round, event);
    default:
      return broken('out-of-place', `the customer published a ${event.type}`);
  }
}

function applyOpen(draft: Draft, event: EventOf<'open'>): Broken | null {
  const last = draft.rounds.at(-1);
  const { round, base, trainers } = event.content;
  if (draft.award === null) return broken('open', 'the job is not awarded');
  if (last !== undefined && last.close === null && last.voided === null)
    return broken('open', `round ${last.round} is still open`);
  if (last !== undefined && last.settlement === null && owes(draft, last))
    return broken('open', `round ${last.round} is not settled`);
  if (round !== draft.rounds.length || round >= draft.job.content.rounds)
    return broken('open', `round ${draft.rounds.length} comes next, got ${round}`);
  if (draft.modelHash !== null && base.sha256 !== draft.modelHash)
    return broken('open', `the base must hash to ${draft.modelHash}, got ${base.sha256}`);
  const assigned = [...draft.assignments.values()].sort((a, b) => a.shard - b.shard);
  const spell = (seats: readonly { shard: number; trainer: Pubkey }[]) =>
    seats.map((seat) => `${seat.shard}:${seat.trainer}`).join(' ');
  if (spell(trainers) !== spell(assigned))
    return broken('open', 'its trainers are not the assigned ones in order of shard');
  draft.modelHash = base.sha256;
  draft.rounds.push({
    round,
    open: event,
    assigned,
    lossBeforePpm: draft.lossPpm,
    commits: firstPerTrainer(
      draft,
      assigned,
      (other): other is EventOf<'commit'> => other.type === 'commit' && other.content.open === event.id,
    ),
    commitList: null,
    listedCommits: new Map(),
    reveals: new Map(),
    revealList: null,
    listedReveals: new Map(),
    seen: new Set(),
    scores: null,
    close: null,
    voided: null,
    settlement: null,
    receipts: new Map(),
  });
  return null;
}

/** A trainer's first event of that sort for the shard it was given: a second one never counts. */
function firstPerTrainer<E extends EventOf<'commit'> | EventOf<'reveal'>>(
  draft: Draft,
  assigned: readonly { readonly trainer: Pubkey; readonly shard: number }[],
  matches: (event: JobEvent) => event is E,
): Map<Pubkey, E> {
  const found = new Map<Pubkey, E>();
  for (const { trainer, shard } of assigned) {
    const event = draft.sound.find(
      (other): other is E => other.author === trainer && matches(other) && other.content.shard === shard,
    );
    if (event !== undefined) found.set(trainer, event);
  }
  return found;
}

function applySeen(round: DraftRound, event: EventOf<'seen'>): Broken | null {
  if (event.content.round !== round.round) return broken('seen', `round ${round.round} is open`);
  for (const id of event.content.ids) round.seen.add(id);
  return null;
}

/** Ids in an earlier `seen` that the list leaves out: an omission that the customer's own signatures prove. */
function omission(
  candidates: ReadonlyMap<Pubkey, { readonly id: EventId }>,
  seen: ReadonlySet<EventId>,
  ids: readonly EventId[],
): Broken | null {
  for (const { id } of candidates.values())
    if (seen.has(id) && !ids.includes(id)) return broken('omission', `${id} was seen and is not in the list`);
  return null;
}

function listed<E extends { readonly id: EventId; readonly author: Pubkey }>(
  draft: Draft,
  candidates: ReadonlyMap<Pubkey, E>,
  ids: readonly EventId[],
): Map<Pubkey, E> | Broken {
  const found = new Map<Pubkey, E>();
  const byId = new Map([...candidates.values()].map((event) => [event.id, event]));
  if (new Set(ids).size !== ids.length) return broken('list', 'an id stands twice');
  for (const id of ids) {
    const event = byId.get(id);
    if (event !== undefined) found.set(event.author, event);
    else if (draft.byId.has(id)) return broken('list', `${id} does not count in this phase`);
    else draft.missing.add(id);
  }
  return found;
}

function listCommits(draft: Draft, round: DraftRound, event: EventOf<'list'>): Broken | null {
  if (event.content.round !== round.round || round.commitList !== null)
    return broken('list', 'the commitments of this round are listed already');
  if (event.content.until === null) return broken('list', 'it must say until when reveals count');
  const left = omission(round.commits, round.seen, event.content.ids);
  if (left !== null) return left;
  const found = listed(draft, round.commits, event.content.ids);
  if (!(found instanceof Map)) return found;
  round.commitList = event;
  round.listedCommits = found;
  round.reveals = firstPerTrainer(
    draft,
    round.assigned.filter((seat) => found.has(seat.trainer)),
    (other): other is EventOf<'reveal'> =>
      other.type === 'reveal' && other.content.list === event.id && other.content.round === round.round,
  );
  return null;
}

function listReveals(draft: Draft, round: DraftRound, event: EventOf<'list'>): Broken | null {
  if (event.content.round !== round.round || round.commitList === null || round.revealList !== null)
    return broken('list', 'reveals are listed once, after the commitments');
  const left = omission(round.reveals, round.seen, event.content.ids);
  if (left !== null) return left;
  const found = listed(draft, round.reveals, event.content.ids);
  if (!(found instanceof Map)) return found;
  round.revealList = event;
  round.listedReveals = found;
  return null;
}

function applyScores(round: DraftRound, event: EventOf<'scores'>): Broken | null {
  if (round.revealList === null || event.content.list !== round.revealList.id || round.scores !== null)
    return broken('scores', 'scores follow the list of reveals, once');
  for (const row of event.content.scores) {
    const reveal = round.listedReveals.get(row.trainer);
    if (reveal !== undefined && (reveal.id !== row.submission || reveal.content.shard !== row.shard))
      return broken('scores', `${row.submission} is not the listed reveal of ${row.trainer}`);
    const { dPpm, ePpm } = workScore(
      { before: row.ownBeforePpm, after: row.ownAfterPpm },
      { before: row.otherBeforePpm, after: row.otherAfterPpm },
    );
    if (dPpm !== row.dPpm || ePpm !== row.ePpm)
      return broken('scores', `D and E of ${row.trainer} must be ${dPpm} and ${ePpm} ppm`);
  }
  round.scores = event;
  return null;
}

function applyClose(draft: Draft, round: DraftRound, event: EventOf<'close'>): Broken | null {
  const { content } = event;
  if (content.round !== round.round || round.revealList === null || round.scores === null)
    return broken('close', 'a round closes after its scores');
  if (content.list !== round.revealList.id || content.scores !== round.scores.id)
    return broken('close', 'it cites another list or other scores');
  const findings = new Map<Pubkey, Finding>();
  for (const { trainer, rule, detail } of content.rejected)
    if (rule === 'blob' || rule === 'shape') findings.set(trainer, { rule, detail });
  const complete = [...round.commitList!.content.ids, ...round.revealList.content.ids].every(
    (id) => !draft.missing.has(id),
  );
  if (complete) {
    const expected = acceptRound({
      job: draft.jobId,
      round: round.round,
      baseHash: round.open.content.base.sha256,
      assigned: round.assigned,
      commits: round.listedCommits,
      reveals: round.listedReveals,
      findings,
      scores: new Map(round.scores.content.scores.map((row) => [row.trainer, row])),
      lossBeforePpm: round.lossBeforePpm,
      strictLoss: draft.job.content.strictLoss,
    });
    const good = (rows: readonly { shard: number; trainer: string; submission: string }[]) =>
      rows.map((row) => `${row.shard}:${row.trainer}:${row.submission}`).join(' ');
    const bad = (rows: readonly { shard: number; trainer: string; rule: string }[]) =>
      rows.map((row) => `${row.shard}:${row.trainer}:${row.rule}`).join(' ');
    if (good(expected.accepted) !== good(content.accepted))
      return broken('close', 'the accepted submissions do not follow from lists and scores');
    if (bad(expected.rejected) !== bad(content.rejected))
      return broken('close', 'the rejections do not follow from lists and scores');
  }
  if (content.accepted.length < Math.min(draft.job.content.quorum, round.assigned.length))
    return broken('close', `${draft.job.content.quorum} accepted updates are the quorum`);
  round.close = event;
  draft.modelHash = content.aggregate;
  draft.lossPpm = content.lossPpm;
  return null;
}

function applyVoid(round: DraftRound, event: EventOf<'void'>): Broken | null {
  if (event.content.round !== round.round) return broken('void', `round ${round.round} is open`);
  if (round.commitList === null) return broken('void', 'a round is void only after its list of commitments');
  round.voided = event;
  return null;
}
