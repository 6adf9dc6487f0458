/**
 * Counted into the engine id: raise it whenever the same request gives other bytes than before (order of examples,
 * loss, optimizer, products), so that nobody is accused over a change of ours.
 */
export const TRAINING_REVISION = 3;
