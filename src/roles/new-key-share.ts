import { isNewKey } from '../market/auction.js';
import { counts } from '../market/standing.js';
import type { JobTerms } from '../protocol/job.js';
import { earlierJobs } from './earlier-jobs.js';
import type { PublishPorts } from './publish.js';

/** What a customer with receipts of its own that count for this job leaves to strangers, where it does not say. */
const NEW_KEY_SHARE = 500_000;

/** Not on the sandbox and rail `none`, where receipts cost nothing: everyone is new there. */
export async function withNewKeyShare<Terms extends Pick<JobTerms, 'network' | 'rail' | 'newKeyShare' | 'award'>>(
  terms: Terms,
  { files, signer, events }: Pick<PublishPorts, 'files' | 'signer' | 'events'>,
): Promise<Terms> {
  const isOpenToAll = terms.network === 'sandbox' || terms.rail === 'none' || terms.award === 'manual';
  if (terms.newKeyShare !== undefined || isOpenToAll || events === undefined) return terms;
  const earlier = await earlierJobs({ files, me: signer.pubkey, journal: events });
  const isKnown = earlier.some(
    (one) => counts(one.terms, terms) && [...one.standing.values()].some((known) => !isNewKey(known)),
  );
  return isKnown ? { ...terms, newKeyShare: NEW_KEY_SHARE } : terms;
}
