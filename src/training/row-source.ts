import type { DataSchema } from '../learning/types.js';

/** One example as its file has it. */
export interface EncodedRow {
  /** [inputs] */
  readonly features: Uint8Array | Float32Array;
  /** A class, or a standardised target. */
  readonly label: number;
  /** The number of its owner, in the order in which they first occur. */
  readonly owner?: number;
}

/** Data of which all is known but the examples: a first reading has been over them. */
export interface RowSource {
  readonly schema: DataSchema;
  readonly rows: number;
  readonly hasOwners: boolean;
  /** Reads the data again at each call, one row in memory at a time. @throws NmktError `bad-dataset` where they are not what they were */
  readonly encoded: () => AsyncIterable<EncodedRow>;
}
