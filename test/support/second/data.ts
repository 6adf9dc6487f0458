import { openBlob, shardContext } from './blobs.js';
import { chainCommitment, readRows, type Rows } from './numbers.js';
import type { Walked } from './rules.js';
import {
  Bad,
  expand,
  fields,
  fromHex,
  hex,
  must,
  nameOf,
  sha256,
  type Events,
  type Fields,
  type Pointer,
} from './wire.js';

/** The keys that a customer gives to an auditor, and the data that they open. */

/** What opens a job, as collect-model writes it. */
export interface Keys {
  readonly seed: string;
  readonly rounds: readonly { readonly round: number; readonly key: string }[];
  readonly updates: readonly (BlobKey & { readonly submission: string; readonly state: BlobKey | null })[];
  readonly roots?: readonly { readonly round: number; readonly key: string }[];
  readonly artifact: string | null;
  readonly heads?: readonly { readonly author: string; readonly event: string }[];
  readonly data?: {
    readonly chain: string;
    readonly train: EpochKeys;
    readonly a: EpochKeys & { readonly salt: string };
    readonly b: EpochKeys & { readonly salt: string };
  };
}
export interface BlobKey {
  readonly key: string;
  readonly pointer: Pointer;
  readonly coding?: string;
}
interface EpochKeys {
  readonly locator: string;
  readonly blind: string;
  readonly shards: readonly string[];
}

export interface Data {
  readonly chain: string;
  readonly shards: readonly Rows[];
  readonly a: Rows;
  readonly b: Rows;
}

export function openData({ job, terms }: Walked, events: Events, keys: Keys, data: NonNullable<Keys['data']>): Data {
  must(chainCommitment(data.chain, terms.rounds) === terms.chainCommitment, job.id, 'another chain');
  const open = (id: string, { locator, blind, shards }: EpochKeys): { rows: Rows[]; hash: string } => {
    const snapshot = fields<Fields & { readonly salt: string; readonly schema: { readonly scale: number } }>(
      events.at(id),
    );
    must(hex(sha256('nmkt/1/locator', fromHex(blind), locator)) === snapshot.locator, id, 'another locator');
    const pointers = (JSON.parse(locator) as { readonly shards: readonly Pointer[] }).shards;
    must(
      pointers.length === snapshot.shards.length && shards.length === pointers.length,
      id,
      'another number of shards',
    );
    const rows = pointers.map((pointer, part) => {
      const said = snapshot.shards[part]!;
      must(
        pointer.commit === said.commit && pointer.size === said.size && pointer.chunks === said.chunks,
        id,
        'another',
      );
      const sealed = { pointer, key: shards[part]!, context: shardContext(snapshot.salt), part };
      const file = attempt(id, () => openBlob(events, id, sealed));
      const read = readRows(file, snapshot.schema.scale);
      must(read.labels.length === said.examples, id, 'another number of examples');
      return read;
    });
    return { rows, hash: pointers[0]!.sha256 };
  };
  const train = open(terms.dataset, data.train);
  const [a, b] = [open(terms.evalA.snapshot, data.a), open(terms.evalB.snapshot, data.b)];
  for (const [set, { hash }, { salt }] of [
    [terms.evalA, a, data.a],
    [terms.evalB, b, data.b],
  ] as const)
    must(hex(sha256('nmkt/1/data', fromHex(salt), fromHex(hash))) === set.commitment, job.id, 'another set');
  auditGrants(job.id, terms, events, keys, data.train, job.pubkey);
  auditEvalGrants(job.id, terms, events, data, job.pubkey);
  return { chain: data.chain, shards: train.rows, a: a.rows[0]!, b: b.rows[0]! };
}

function attempt<T>(id: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof Bad ? error : new Bad(id, (error as Error).message);
  }
}

/** The grants that the award promised, written out as the table of grants says. */
function auditGrants(
  job: string,
  { dataset, deadline }: Walked['terms'],
  events: Events,
  { seed }: Keys,
  { locator, blind, shards }: EpochKeys,
  customer: string,
): void {
  for (const event of events.chains.get(customer)!.events) {
    const { winners, in: next, shard } = fields(event);
    const name = nameOf(event);
    const seats = name === '4626/award' ? winners : name === '4626/replace' && next ? [{ ...next, shard }] : [];
    for (const seat of seats) {
      const place = { purpose: 'shard', job, snapshot: dataset, shard: seat.shard };
      const grant = { ...place, key: shards[seat.shard], seed, locator, blind, notAfter: deadline };
      must(hex(sha256('nmkt/1/grant', JSON.stringify(grant))) === seat.grant, event.id, 'another grant');
    }
  }
}

/** What an award promises its validators: set A, and what decides on which examples they measure. */
function auditEvalGrants(
  job: string,
  { evalA, deadline }: Walked['terms'],
  events: Events,
  { a, chain }: NonNullable<Keys['data']>,
  customer: string,
): void {
  for (const event of events.chains.get(customer)!.events) {
    if (nameOf(event) !== '4626/award') continue;
    const { validators = [] } = fields<{ validators?: readonly { grant: string }[] }>(event);
    const scoring = hex(expand(fromHex(chain), 'nmkt/1/scoring'));
    const place = { purpose: 'eval', job, snapshot: evalA.snapshot, key: a.shards[0], scoring };
    const grant = { ...place, locator: a.locator, blind: a.blind, notAfter: deadline };
    const hash = hex(sha256('nmkt/1/grant', JSON.stringify(grant)));
    must(
      validators.every((one) => one.grant === hash),
      event.id,
      'another grant of set A',
    );
  }
}
