/** Two engines add in another order: float32 rounds elsewhere. Not how far two trainings may drift apart. */
export const TOLERANCE = { lossPpm: 100, lossShare: 1_000, errorShare: 100 } as const;
