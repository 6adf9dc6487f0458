import type { EventId, Pubkey } from '../../hash.js';
import { arenaConduct } from '../../market/arena/conduct.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import { leaderboards } from '../../market/arena/leaderboard.js';
import type { Finding } from '../audit-format.js';
import { auditFolded } from '../audit-folded.js';
import { auditSnapshots } from '../audit-pins.js';
import { auditMoney, type PublicFacts } from '../audit-public.js';

/**
 * An arena from signed events alone: chains, pins, what was seen and listed, aliases, draws, scores, ranks and plans by the rules of the
 * fold; then pins, the customer's own times, and receipts.
 */
export function auditArenaPublic(folded: FoldedArena, facts: PublicFacts): Finding | null {
  const found = auditFolded(folded);
  if (found !== null) return found;
  const { jobId, job, stages } = folded.state!;
  const train = auditSnapshots(job, facts.snapshots, 1);
  if ('rule' in train) return train;
  const conduct = arenaConduct(folded);
  if (conduct !== null) return conduct;
  const rounds = stages.map(({ stage, payouts }) => ({ round: stage, payouts }));
  return auditMoney({ jobId, terms: job.content, rounds }, facts);
}

/** What no event decides: the customer's word against a trainer's, or validators' against the customer's. */
export interface ArenaNotice {
  readonly stage: number;
  readonly rule: 'unopened' | 'contradicted';
  readonly trainer: Pubkey;
  readonly submission: EventId;
  readonly detail: string;
}

const NOTICES = {
  unopened: 'the customer says that its model could not be opened',
  contradicted: 'most of its validators opened another model than the customer names',
} as const;

export function arenaNotices({ state }: FoldedArena): readonly ArenaNotice[] {
  return (state === null ? [] : leaderboards(state)).flatMap(({ stage, rows }) =>
    rows.flatMap(({ trainer, submission, noRank: rule }): ArenaNotice[] =>
      rule === 'unopened' || rule === 'contradicted'
        ? [{ stage, rule, trainer: trainer!, submission: submission!, detail: NOTICES[rule] }]
        : [],
    ),
  );
}
