import type { Codec } from './codec.js';

/** Does the codec send later what it left out (error feedback)? */
export function keepsResidual(_codec: Codec): boolean {
  return false;
}
