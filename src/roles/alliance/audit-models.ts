import { isNmktError } from '../../errors.js';
import type { Bytes } from '../../hash.js';
import type { AllianceState } from '../../market/alliance/state.js';
import { groupCommitment } from '../../protocol/alliance/job.js';
import type { Finding } from '../audit-format.js';
import type { JobFiles } from '../customer-env.js';
import { modelOf, type ModelEnv } from './models.js';

/**
 * With the group's key: the aggregate of every accepted round is computed again from the proposals that its voters name, to the byte.
 *
 * @throws what relays throw
 */
export async function auditAllianceModels(
  state: AllianceState,
  ports: Pick<ModelEnv, 'relays' | 'signal' | 'nowSec' | 'group'> & { onProgress?(text: string): void },
): Promise<Finding | null> {
  const { job, rounds } = state;
  if (groupCommitment(ports.group) !== job.content.alliance.groupCommitment)
    return { event: job.id, rule: 'key', detail: 'the key is not the one that the job committed to' };
  const env = { ...ports, files: inMemory() };
  for (const { round, tally, votes } of rounds) {
    if (tally?.isAccepted !== true || tally.aggregate === null) continue;
    ports.onProgress?.(`computing the model of round ${round + 1} of ${rounds.length}`);
    try {
      await modelOf(env, state, tally.aggregate);
    } catch (error) {
      if (!isNmktError(error, 'hash-mismatch')) throw error;
      const detail = `no proposals that voters of round ${round + 1} name make ${tally.aggregate}; ${error.got}`;
      return { event: votes!.list.id, rule: 'aggregate', detail };
    }
  }
  return null;
}

/** Models by their hash, of this audit alone. */
function inMemory(): JobFiles {
  const kept = new Map<string, Bytes>();
  return { write: async (name, bytes) => void kept.set(name, bytes), read: async (name) => kept.get(name) };
}
