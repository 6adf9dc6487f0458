import { loadRung } from './tfjs-rungs.js';
import { smoke } from './tfjs-smoke.js';

/**
 * A process of its own that loads the native rung and trains one step: a crash of the native library ends this process
 * and not the trainer. Sends null, or the reason why the rung is unfit.
 */
async function probe(): Promise<string | null> {
  try {
    await loadRung('node');
    await smoke();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.send!(await probe(), undefined, {}, () => process.exit());
