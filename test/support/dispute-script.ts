import { sha256, sha256Hex, type EventId, type Sha256 } from '../../src/hash.js';
import { correctionOf } from '../../src/market/dispute-state.js';
import type { PlanLine } from '../../src/protocol/settlement.js';
import { MAX_DISPUTES } from '../../src/protocol/dispute.js';
import type { ContentOf } from '../../src/protocol/events.js';
import {
  customer,
  ENGINE,
  hashOf,
  people,
  scriptJob,
  spotTerms,
  type JobScript,
  type Person,
  type ScriptOptions,
} from './job-script.js';
import { inOrder, registerOf } from './validator-contents.js';

/** A scripted job whose customer calls the second of three trainers a fraud by scores of its own, and what follows. */

const linkOf = (who: Person, index: number): Uint8Array =>
  index === MAX_DISPUTES ? sha256('dispute nonces', who.pubkey) : sha256('nmkt/1/chain', linkOf(who, index + 1));

export const disputeNonce = (who: Person, index: number): Uint8Array => linkOf(who, index);

/** Three validators register for disputes, reveal no scores, and so the customer's own count. */
export function accusedJob(options: ScriptOptions = {}): JobScript {
  const registered = (content: ContentOf<'register'>, so: JobScript) => {
    const who = inOrder(so, 3).find((one) => registerOf(so, one).nonceCommitment === content.nonceCommitment)!;
    const { engine, nonceCommitment, expires } = content;
    return { engine, nonceCommitment, disputeCommitment: sha256Hex(linkOf(who, 0)), expires };
  };
  return scriptJob({
    ...{ trainers: 3, rounds: 1, validators: 3 },
    ...options,
    terms: { ...spotTerms(1), disputes: { withinSec: 60 }, ...options.terms },
    alter: {
      ...Object.fromEntries([0, 1, 2].map((i) => [`register/${i}`, registered])),
      ...Object.fromEntries([0, 1, 2].map((i) => [`score-reveal/0/${i}`, () => null])),
      'scores/0': (content: ContentOf<'scores'>) => ({
        ...content,
        scores: content.scores.map((row) =>
          row.shard === 1 ? { ...row, spot: { segment: row.spot!.segment, hash: hashOf('repeated') } } : row,
        ),
      }),
      'close/0': (content: ContentOf<'close'>, so) => {
        const [row] = content.accepted.splice(1, 1);
        const { spot } = so.at('scores/0', 'scores').content.scores[1]!;
        const detail = `segment ${spot!.segment} ends elsewhere when it is repeated`;
        return { ...content, rejected: [{ ...row, rule: 'spot-check', detail }] };
      },
      ...options.alter,
    },
    after: {
      'scores/0': (so) => {
        const scores = so.at('scores/0', 'scores');
        const { trainer, shard, submission, spot } = scores.content.scores[1]!;
        const { checkpoints, updateHash } = so.at('reveal/0/1', 'reveal').content;
        so.say(customer, 'fraud', 'fraud', {
          ...{ round: 0, shard, trainer, submission, scores: scores.id, segment: spot!.segment },
          ...{ committed: [...checkpoints, updateHash][spot!.segment]!, repeated: spot!.hash },
        });
      },
      ...options.after,
    },
  });
}

/** By step: the customer repeated the whole training, and left the committed one at this segment. */
export const wholeRun = {
  fraud: (content: ContentOf<'fraud'>, so: JobScript) => {
    const { checkpoints, updateHash } = so.at('reveal/0/1', 'reveal').content;
    const committed = [...checkpoints, updateHash];
    const ends = committed.map((hash, i) =>
      i < content.segment ? hash : i === content.segment ? content.repeated : hashOf(`end ${i}`),
    );
    return { ...content, ends };
  },
};

/** The accused trainer complains, and the customer lists it. */
export function listComplaint(so: JobScript): void {
  const fraud = so.at('fraud', 'fraud');
  const { round, shard, segment, committed } = fraud.content;
  so.say(people[1]!, 'complaint', 'complaint', {
    ...{ round, shard, subject: fraud.id, engine: ENGINE, found: { what: 'segment', segment, hash: committed } },
    detail: 'repeated by its trainer it ends as committed',
  });
  so.say(customer, 'dispute', 'dispute', { round, shard, complaint: so.raw('complaint').id });
}

/** Those validators open their nonces, by their places in the order of seats, and the customer draws. */
export function drawJudges(so: JobScript, places: readonly number[] = [0, 1, 2]): void {
  const dispute = so.raw('dispute').id;
  const validators = inOrder(so, 3);
  for (const i of places)
    so.say(validators[i]!, 'dispute-nonce', `dispute-nonce/${i}`, {
      round: 0,
      dispute,
      nonce: disputeNonce(validators[i]!, 0),
    });
  const opened = places.map((i) => so.at(`dispute-nonce/${i}`, 'dispute-nonce'));
  const nonces = opened.sort((a, b) => (a.author < b.author ? -1 : 1)).map(({ id }): EventId => id);
  so.say(customer, 'dispute-draw', 'dispute-draw', { round: 0, dispute, ...(nonces.length > 0 && { nonces }) });
}

/** The validator at that place of the draw's order says what the segment ends in; null: as committed. */
export function judge(so: JobScript, place: number, hash: Sha256 | null): void {
  const { fraud, order, draw } = so.state.disputes[0]!;
  const { round, shard, segment, committed } = fraud.content;
  const who = inOrder(so, 3).find(({ pubkey }) => pubkey === order![place])!;
  const found = { round, shard, draw: draw!.id, engine: ENGINE, segment, hash: hash ?? committed };
  so.say(who, 'verdict', `verdict/${place}`, found);
}

/** A party says that the verdict at that place is false. */
export function appeal(so: JobScript, who: Person, place: number): void {
  const { round, shard, segment, committed, repeated } = so.at('fraud', 'fraud').content;
  const hash = who === customer ? repeated : committed;
  so.say(who, 'complaint', `appeal/${place}`, {
    ...{ round, shard, subject: so.raw(`verdict/${place}`).id, engine: ENGINE },
    ...{ found: { what: 'segment', segment, hash }, detail: '' },
  });
}

/** The customer settles what the dispute found to be owed. */
export function correct(so: JobScript, change: (line: PlanLine) => PlanLine = (line) => line): void {
  const line = change(correctionOf(so.jobId, so.state.rounds, so.state.disputes[0]!));
  const close = so.raw('close/0').id;
  so.say(customer, 'settlement', 'correction', { round: 0, close, plan: [line], totalMsat: line.amountMsat });
}
