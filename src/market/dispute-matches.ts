import type { Pubkey } from '../hash.js';
import { EVERY_RANK, type Match } from './matches.js';
import type { JobState } from './state.js';

/** What drawn validators found of a segment is a loss for who said the opposite, as far as the reader trusts those validators. */

/** Of a customer: its proof is false. */
export function falseProofMatches({ jobId, job, disputes }: JobState, customer: Pubkey): Match[] {
  if (job?.author !== customer) return [];
  return disputes
    .filter(({ outcome }) => outcome === 'trainer')
    .flatMap((dispute) => lossesOf(jobId, dispute, 'false fraud', dispute.fraud.id));
}

/** Of a validator: more than half of those drawn contradict it. */
export function falseVerdictMatches({ jobId, disputes }: JobState, validator: Pubkey): Match[] {
  return disputes.flatMap((dispute) => {
    const mine = dispute.verdicts.find(({ author }) => author === validator);
    return mine === undefined || !dispute.liars.includes(validator)
      ? []
      : lossesOf(jobId, dispute, 'false verdict', mine.id);
  });
}

function lossesOf(
  job: JobState['jobId'],
  { fraud, verdicts, liars }: JobState['disputes'][number],
  why: string,
  said: Match['events'][number],
): Match[] {
  return verdicts
    .filter(({ author }) => !liars.includes(author))
    .map(({ id, author }) => ({
      ...{ job, round: fraud.content.round, issuer: author, others: EVERY_RANK },
      ...({ rank: 'proven', why, events: [said, id] } as const),
    }));
}
