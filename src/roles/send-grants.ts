import type { JobState } from '../market/state.js';
import type { NostrEvent } from '../ports.js';
import type { CustomerEnv } from './customer-env.js';
import { dueGrants, sendEach, type SentGrant } from './customer-grants.js';
import { validatorGrants } from './validator-grants.js';

/** To trainers and validators. @see sendEach */
export async function sendGrants(
  env: CustomerEnv,
  state: JobState,
  wrap: (content: string, to: string) => Promise<NostrEvent>,
  sent: Map<string, SentGrant>,
  answered: readonly string[] = [],
): Promise<void> {
  const validators = await validatorGrants(env, state, (id) => sent.get(id)?.isOnSome === true);
  return sendEach(env, [...dueGrants(env, state), ...validators], wrap, sent, answered);
}
