import type { EventId } from '../hash.js';
import { chainCommitment } from '../learning/seeds.js';
import type { Examples } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import type { DatasetManifest } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import { encodeGrant, grantHash } from '../protocol/grant.js';
import { shardLocators, openLocator, type Locator } from '../protocol/locator.js';
import type { NostrEvent, Relays } from '../ports.js';
import type { AuditKeys, DataKeys, Finding } from './audit-format.js';
import { manifestOf } from './audit-pins.js';
import { opened } from './audit-with-keys.js';
import { openedOnce, type CustomerData } from './customer-data.js';
import { dataCommitment, locatedIn, openShard } from './epoch.js';

/** The data itself, opened by an auditor: that it is what snapshots, job and grants promised. */

export interface DataAuditPorts {
  readonly relays: Relays;
  readonly keys: AuditKeys & { readonly data: DataKeys };
  readonly snapshots: ReadonlyMap<EventId, NostrEvent>;
  readonly signal?: AbortSignal;
  onProgress?(text: string): void;
}

interface Epoch {
  readonly event: EventId;
  readonly manifest: DatasetManifest;
  readonly locator: Locator;
}
type Part = 'train' | 'a' | 'b';

/** Opens every shard and both evaluation sets. */
export async function auditData(state: JobState, ports: DataAuditPorts): Promise<CustomerData | Finding> {
  const job = state.job!;
  const { keys, snapshots, relays, signal } = ports;
  const { dataset, evalA, evalB } = job.content;
  if (chainCommitment(keys.data.chain, job.content.rounds) !== job.content.chainCommitment)
    return { event: job.id, rule: 'commitment', detail: 'draws and samples follow from another secret than committed' };
  const epochs = new Map<Part, Epoch>();
  for (const [part, event] of [
    ['train', dataset],
    ['a', evalA.snapshot],
    ['b', evalB.snapshot],
  ] as const) {
    const manifest = manifestOf(job, snapshots, part);
    const locator = locate(event, manifest, keys.data[part]);
    if ('rule' in locator) return locator;
    epochs.set(part, { event, manifest, locator });
  }
  for (const [part, set] of [
    ['a', evalA],
    ['b', evalB],
  ] as const) {
    const [pointer] = epochs.get(part)!.locator.shards;
    if (dataCommitment(keys.data[part].salt, pointer!.sha256) !== set.commitment)
      return { event: job.id, rule: 'commitment', detail: `set ${part.toUpperCase()} is not the one it committed to` };
  }
  const grants = auditGrants(state, ports);
  if (grants !== null) return grants;

  const train = { id: dataset, author: job.author, manifest: epochs.get('train')!.manifest };
  const data = openedOnce(train, (part, shard) => {
    const { manifest, locator } = epochs.get(part)!;
    const options = signal === undefined ? {} : { signal };
    return openShard(relays, manifest, locatedIn(locator, shard), shard, keys.data[part].shards[shard]!, options);
  });
  return (await auditRows(data, epochs, ports)) ?? data;
}

/** Pointers that the snapshot promised, with what it says of each shard. */
export function locate(event: EventId, manifest: DatasetManifest, keys: DataKeys[Part]): Locator | Finding {
  const bad = (detail: string): Finding => ({ event, rule: 'locator', detail });
  try {
    const locator = openLocator(keys.locator, keys.blind, manifest.locator);
    if (locator.shards.length !== manifest.shards.length || keys.shards.length !== manifest.shards.length)
      return bad(
        `${locator.shards.length} pointers and ${keys.shards.length} keys to ${manifest.shards.length} shards`,
      );
    const other = manifest.shards.findIndex((declared, shard) => {
      const { commit, size, chunks } = locator.shards[shard]!;
      return commit !== declared.commit || size !== declared.size || chunks !== declared.chunks;
    });
    return other < 0 ? locator : bad(`the pointer to shard ${other} is not what the snapshot says`);
  } catch (error) {
    return bad((error as Error).message);
  }
}

async function auditRows(
  data: CustomerData,
  epochs: ReadonlyMap<Part, Epoch>,
  ports: DataAuditPorts,
): Promise<Finding | null> {
  const { length } = data.train.manifest.shards;
  const sets: readonly (readonly [Part, number, () => Promise<Examples>])[] = [
    ...Array.from({ length }, (_, shard) => ['train', shard, () => data.shard(shard)] as const),
    ['a', 0, () => data.evaluationA()],
    ['b', 0, () => data.evaluationB()],
  ];
  for (const [part, shard, open] of sets) {
    ports.onProgress?.(`opening ${part === 'train' ? `shard ${shard + 1} of ${length}` : `set ${part.toUpperCase()}`}`);
    const { event, manifest } = epochs.get(part)!;
    const examples = await opened(event, open);
    if ('rule' in examples) return examples;
    const declared = manifest.shards[shard]!.examples;
    if (examples.rows !== declared)
      return {
        event,
        rule: 'rows',
        detail: `shard ${shard} of it holds ${examples.rows} examples, it says ${declared}`,
      };
  }
  return null;
}

/** Were the promised grants the right ones? Whether they were sent is known to sender and receiver only. */
function auditGrants({ job, chains }: JobState, { keys }: DataAuditPorts): Finding | null {
  const locatorOf = shardLocators(keys.data.train.locator);
  const hashOf = (shard: number) =>
    grantHash(
      encodeGrant({
        purpose: 'shard',
        job: job!.id,
        snapshot: job!.content.dataset,
        shard,
        key: keys.data.train.shards[shard]!,
        seed: keys.seed,
        locator: locatorOf(shard),
        blind: keys.data.train.blind,
        notAfter: job!.content.deadline,
      }),
    );
  for (const event of chains.get(job!.author)?.events ?? [])
    for (const { shard, trainer, grant } of grantedBy(event))
      if (grant !== hashOf(shard))
        return {
          event: event.id,
          rule: 'grant',
          detail: `the grant it promised ${trainer} does not open shard ${shard} of the dataset`,
        };
  return null;
}

function grantedBy(event: { readonly type: string }) {
  if (event.type === 'award') return (event as EventOf<'award'>).content.winners;
  if (event.type !== 'replace') return [];
  const { shard, in: next } = (event as EventOf<'replace'>).content;
  return next === null ? [] : [{ ...next, shard }];
}
