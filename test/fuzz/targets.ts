import { dataTargets } from './data-targets.js';
import { fileTargets } from './file-targets.js';
import { keyTargets } from './key-targets.js';
import { largeFrameTargets } from './large-frame-targets.js';
import { relayTargets } from './relay-targets.js';
import { syncTargets } from './sync-targets.js';
import type { Target } from './target.js';
import { walletTargets } from './wallet-targets.js';
import { wireTargets } from './wire-targets.js';

/** Every reader of what comes from outside. */
export const targets: readonly Target[] = [
  ...wireTargets,
  ...relayTargets,
  ...largeFrameTargets,
  ...syncTargets,
  ...walletTargets,
  ...keyTargets,
  ...fileTargets,
  ...dataTargets,
];
