import type { FoldedAlliance } from '../../market/alliance/fold.js';
import type { Finding } from '../audit-format.js';
import { auditFolded } from '../audit-folded.js';
import { auditMoney, type PublicFacts } from '../audit-public.js';

/**
 * An alliance from signed events alone: chains, members, draws, lists, omissions, votes, what rounds came to and their plans by the rules
 * of the fold; then receipts.
 */
export function auditAlliancePublic(
  folded: FoldedAlliance,
  facts: Pick<PublicFacts, 'decode' | 'nowSec'>,
): Finding | null {
  const found = auditFolded(folded);
  if (found !== null) return found;
  const { jobId, job, rounds } = folded.state!;
  return auditMoney({ jobId, terms: job.content, rounds }, facts);
}
