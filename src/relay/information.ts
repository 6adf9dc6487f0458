import type { Access } from './access.js';
import type { RelayLimits } from './admission.js';

/** The NIP-11 document: only what this relay does, and the limits it enforces. */
export function relayInformation(limits: RelayLimits, maxFrameBytes: number, access: Access): Record<string, unknown> {
  return {
    name: 'nmkt relay',
    description: 'The relay embedded in nmkt',
    software: 'nmkt',
    supported_nips: [1, 9, 11, 40, 42, 45, 59, 62, 70, 77],
    limitation: {
      max_message_length: maxFrameBytes,
      max_content_length: limits.maxEventBytes,
      max_event_tags: limits.maxTags,
      max_subscriptions: limits.maxSubscriptions,
      max_filters: limits.maxFilters,
      max_limit: limits.maxLimit,
      default_limit: limits.maxLimit,
      max_subid_length: limits.maxSubscriptionIdChars,
      created_at_upper_limit: limits.maxFutureSec,
      min_pow_difficulty: 0,
      auth_required: access.isPrivate,
      payment_required: false,
      restricted_writes: access.allowed !== undefined,
    },
  };
}
