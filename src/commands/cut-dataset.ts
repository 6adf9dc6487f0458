import { hmacSha256, fromHex, sha256Hex, utf8, type Sha256 } from '../hash.js';
import { requestHash, type PublishInput } from '../roles/publish.js';
import type { OpenDataset } from '../training/dataset-open.js';
import { splitRows, type PartitionChoice } from '../training/split.js';

/** What the flags of publish-dataset say about the cut. */
export interface CutChoices {
  readonly name: string;
  readonly shards: number;
  readonly evalFraction: number;
  readonly partition: PartitionChoice;
  readonly copies: number | undefined;
}

/** An equal request splits in the same way: its hash is the seed. */
export function cutDataset(
  dataset: OpenDataset,
  { name, shards, evalFraction, partition, copies }: CutChoices,
): { readonly request: Sha256; readonly split: Pick<PublishInput, 'shards' | 'a' | 'b'> } {
  const { schema, test, owners } = dataset;
  const request = requestHash(schema, dataset.sha256, test, {
    name,
    shards,
    evalFraction,
    labelsPerShard: partition.name === 'label-k' ? partition.labelsPerShard : null,
    ...(partition.name === 'iid' || partition.name === 'label-k' ? {} : { partition }),
    ...(owners === undefined ? {} : { owners: sha256Hex(new Uint8Array(owners.buffer)) }),
    ...(copies === undefined ? {} : { copies }),
  });
  const seed = hmacSha256(utf8('nmkt/1/split'), fromHex(request));
  const rows = splitRows(dataset, {
    ...{ shards, seed, evalFraction, partition, hasTest: test !== undefined },
    ...(owners === undefined ? {} : { owners }),
  });
  const [a, ownB, ...parts] = dataset.cut([rows.a, rows.b ?? new Uint32Array(), ...rows.shards]);
  return { request, split: { shards: parts, a: a!, b: test ?? ownB! } };
}
