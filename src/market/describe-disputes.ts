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
  /** In the order of the draw, with the end that each found. */
  readonly verdicts: readonly { readonly validator: Pubkey; readonly hash: string; readonly event: EventId }[];
  readonly owedMsat: bigint;
}

/** Listed ones in their order, then those that are not. */
export function describeDisputes(state: JobState): DisputeDescription[] {
  return [
    ...state.disputes.map(({ fraud, opened, draw, outcome, verdicts, owedMsat }): DisputeDescription => {
      const { trainer, round, shard, segment } = fraud.content;
      return {
        ...{ trainer, round, shard, segment, owedMsat, fraud: fraud.id, complaint: opened.content.complaint },
        state: outcome !== 'open' ? 'decided' : draw === null ? 'listed' : 'drawn',
        right: outcome === 'open' ? null : outcome,
        verdicts: verdicts.map(({ id, author, content }) => ({ validator: author, hash: content.hash, event: id })),
      };
    }),
    ...unheardComplaints(state).map((complaint): DisputeDescription => {
      const fraud = state.frauds.get(complaint.author)!;
      const { trainer, round, shard, segment } = fraud.content;
      const open = { state: 'unheard', right: null, verdicts: [], owedMsat: 0n } as const;
      return { ...{ trainer, round, shard, segment, fraud: fraud.id, complaint: complaint.id }, ...open };
    }),
  ];
}

/** Half a sentence on where it stands. */
export function disputeText({ state, right, verdicts, owedMsat }: DisputeDescription): string {
  const count = verdicts.length === 1 ? 'a drawn validator' : `${verdicts.length} drawn validators`;
  if (right === 'trainer')
    return `${count} repeated it, and it ends as committed: the customer's proof is false, ${owedMsat} msat of the round are owed`;
  if (right === 'customer') return `${count} repeated it, and it does not end as committed: the proof stands`;
  if (right === 'nobody')
    return 'no validator on the engine that the job names opened a nonce, so nobody repeats it: the word of the customer stands, unless an audit with the data says otherwise';
  if (state === 'unheard') return 'the customer has not listed the complaint';
  if (state === 'listed') return 'listed, nobody is drawn yet to repeat it';
  return verdicts.length === 0 ? 'drawn, not repeated yet' : `${verdicts.length} repetitions contradict each other`;
}
