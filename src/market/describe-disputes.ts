import type { EventId, Pubkey } from '../hash.js';
import { unheardComplaints } from './dispute-state.js';
import type { JobState } from './state.js';

/** What became of proofs that their trainers dispute. */

export interface DisputeDescription {
  readonly trainer: Pubkey;
  readonly round: number;
  readonly shard: number;
  readonly segment: number;
  /** `unheard`: its customer has not listed the complaint; `listed`: nobody is drawn yet. */
  readonly state: 'unheard' | 'listed' | 'drawn' | 'decided';
  /** Who is right; `nobody`: no validator on the engine could repeat it, so the customer's word stands. Null while it is open. */
  readonly right: 'trainer' | 'customer' | 'nobody' | null;
  readonly complaint: EventId;
  readonly fraud: EventId;
  /** In the order of the draw, with the end that each found; `isFalse`: more than half of the others say the opposite. */
  readonly verdicts: readonly {
    readonly validator: Pubkey;
    readonly hash: string;
    readonly isFalse: boolean;
    readonly event: EventId;
  }[];
  readonly owedMsat: bigint;
  /** Did the customer settle that? */
  readonly isSettled: boolean;
}

/** Listed ones in their order, then those that are not. */
export function describeDisputes(state: JobState): DisputeDescription[] {
  return [
    ...state.disputes.map(
      ({ fraud, opened, draw, outcome, verdicts, liars, owedMsat, isSettled }): DisputeDescription => {
        const { trainer, round, shard, segment } = fraud.content;
        return {
          ...{
            trainer,
            round,
            shard,
            segment,
            owedMsat,
            isSettled,
            fraud: fraud.id,
            complaint: opened.content.complaint,
          },
          state: outcome !== 'open' ? 'decided' : draw === null ? 'listed' : 'drawn',
          right: outcome === 'open' ? null : outcome,
          verdicts: verdicts.map(({ id, author, content }) => {
            return { validator: author, hash: content.hash, isFalse: liars.includes(author), event: id };
          }),
        };
      },
    ),
    ...unheardComplaints(state).map((complaint): DisputeDescription => {
      const fraud = state.frauds.get(complaint.author)!;
      const { trainer, round, shard, segment } = fraud.content;
      const open = { state: 'unheard', right: null, verdicts: [], owedMsat: 0n, isSettled: false } as const;
      return { ...{ trainer, round, shard, segment, fraud: fraud.id, complaint: complaint.id }, ...open };
    }),
  ];
}

/** Half a sentence on where it stands. */
export function disputeText({ state, right, verdicts, owedMsat, isSettled }: DisputeDescription): string {
  const wrong = verdicts.filter(({ isFalse }) => isFalse);
  const said = verdicts.length - wrong.length;
  const who = `${verdicts.length === 1 ? 'a drawn validator' : `${said} of ${verdicts.length} drawn validators`} repeated it, and it`;
  const liars = wrong.map(({ validator }) => `; ${validator} says otherwise`).join('');
  if (right === 'trainer')
    return `${who} ends as committed: the customer's proof is false, ${owedMsat} msat of the round are ${isSettled ? 'settled' : 'owed'}${liars}`;
  if (right === 'customer') return `${who} does not end as committed: the proof stands${liars}`;
  if (right === 'nobody')
    return 'no validator on the engine that the job names opened a nonce, so nobody repeats it: the word of the customer stands, unless an audit with the data says otherwise';
  if (state === 'unheard') return 'the customer has not listed the complaint';
  if (state === 'listed') return 'listed, nobody is drawn yet to repeat it';
  return verdicts.length === 0 ? 'drawn, not repeated yet' : `${verdicts.length} repetitions contradict each other`;
}
