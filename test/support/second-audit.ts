import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import { brotliDecompressSync } from 'node:zlib';
import { decode as decodeBolt11 } from 'light-bolt11-decoder';

/**
 * What a finished job must have come to, worked out a second time: from raw events and the published description of the
 * protocol, with node:crypto and plain JSON. Nothing here imports the code under test.
 */

export interface RawEvent {
  readonly id: string;
  readonly pubkey: string;
  readonly created_at: number;
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
}
type Json = Record<string, unknown>;

export interface SecondOpinion {
  /** Keys of the bidders in order of the award, refused ones last. */
  readonly order: readonly string[];
  readonly seats: readonly { readonly trainer: string; readonly shard: number; readonly priceMsat: bigint }[];
  readonly rounds: readonly SecondRound[];
  readonly paidMsat: bigint;
}
export interface SecondRound {
  readonly round: number;
  /** What each revealed update must have committed to, by trainer. */
  readonly commitments: ReadonlyMap<string, string>;
  readonly plan: readonly { readonly payout: string; readonly payee: string; readonly amountMsat: bigint }[];
  readonly totalMsat: bigint;
  /** Description hash, payment hash and amount that each receipt's invoice must carry, and those that it carries. */
  readonly invoices: readonly { readonly wanted: string; readonly got: string }[];
  /** SHA-256 of the canonical FedAvg; null without audit keys or close. */
  readonly aggregate: string | null;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Buffer => Buffer.from(text, 'hex');
function sha256(...parts: readonly (Uint8Array | string)[]): Buffer {
  return createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();
}
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
/** HKDF-Expand of RFC 5869 for 32 bytes. */
const expand = (key: Uint8Array, info: string): Buffer =>
  createHmac('sha256', key).update(`${info}\u0001`, 'latin1').digest();

const tag = (event: RawEvent, name: string): string | undefined => event.tags.find(([key]) => key === name)?.[1];
const contentOf = (event: RawEvent): Json => JSON.parse(event.content) as Json;
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

class Job {
  readonly event: RawEvent;
  readonly terms: Json;

  constructor(
    readonly events: readonly RawEvent[],
    readonly id: string,
  ) {
    this.event = this.byId(id);
    this.terms = contentOf(this.event);
  }

  byId(id: string): RawEvent {
    const event = this.events.find((candidate) => candidate.id === id);
    if (event === undefined) throw new Error(`event ${id} is not there`);
    return event;
  }

  /** Of one kind and phase, in order of author and seq. */
  all(kind: number, phase?: string): RawEvent[] {
    const seq = (event: RawEvent): number => Number(tag(event, 'seq'));
    return this.events
      .filter((event) => event.kind === kind && (event === this.event || tag(event, 'e') === this.id))
      .filter((event) => phase === undefined || tag(event, 'phase') === phase)
      .sort((a, b) => byText(a.pubkey, b.pubkey) || seq(a) - seq(b));
  }

  ofRound(kind: number, phase: string | undefined, round: number): RawEvent | undefined {
    return this.all(kind, phase).find(
      (event) => event.pubkey === this.event.pubkey && contentOf(event)['round'] === round,
    );
  }
}

/**
 * @param auditKeys  the text of audit-keys.json, or null: then no update is opened
 */
export function secondOpinion(events: readonly RawEvent[], jobId: string, auditKeys: string | null): SecondOpinion {
  const job = new Job(events, jobId);
  const keys = auditKeys === null ? null : (JSON.parse(auditKeys) as Json);
  const { order, seats } = auction(job);
  const opens = job.all(4622, 'open').sort((a, b) => Number(contentOf(a)['round']) - Number(contentOf(b)['round']));
  const rounds = opens.map((open) => secondRound(job, seats, open, keys));
  const receipts = job.all(4628, 'receipt').map((event) => BigInt(contentOf(event)['amountMsat'] as string));
  return { order, seats, rounds, paidMsat: receipts.reduce((sum, amount) => sum + amount, 0n) };
}

/** Newest bid of each key; price times (attempts + 2) / (successes + 1), held between one and two; ties by key. */
function auction(job: Job): Pick<SecondOpinion, 'order' | 'seats'> {
  const award = job.all(4626, 'award')[0]!;
  const rows = contentOf(award)['bids'] as Json[];
  const newest = new Map<string, RawEvent>();
  for (const bid of job.all(4625, 'bid')) newest.set(bid.pubkey, bid);
  const bids = [...newest.values()].map((event) => {
    const content = contentOf(event);
    const row = rows.find((candidate) => candidate['trainer'] === event.pubkey);
    const priceMsat = BigInt(content['priceMsat'] as string);
    const under = BigInt(Number(row?.['successes'] ?? 0) + 1);
    let over = BigInt(Number(row?.['attempts'] ?? 0) + 2);
    if (over < under) over = under;
    if (over > 2n * under) over = 2n * under;
    const isAdmissible =
      event.pubkey !== job.event.pubkey &&
      priceMsat <= BigInt(job.terms['maxPriceMsat'] as string) &&
      (job.terms['acceptedEngines'] as string[]).includes((content['engine'] as string).split('/')[0]!) &&
      (content['expires'] as number) >= award.created_at;
    return { trainer: event.pubkey, priceMsat, effective: (priceMsat * over) / under, isAdmissible };
  });
  bids.sort(
    (a, b) =>
      Number(b.isAdmissible) - Number(a.isAdmissible) ||
      (a.effective < b.effective ? -1 : a.effective > b.effective ? 1 : byText(a.trainer, b.trainer)),
  );
  const winners = bids.filter((bid) => bid.isAdmissible).slice(0, job.terms['trainers'] as number);
  return {
    order: bids.map(({ trainer }) => trainer),
    seats: winners.map(({ trainer, priceMsat }, shard) => ({ trainer, shard, priceMsat })),
  };
}

function secondRound(job: Job, seats: SecondOpinion['seats'], open: RawEvent, keys: Json | null): SecondRound {
  const round = contentOf(open)['round'] as number;
  const close = job.ofRound(4622, 'close', round);
  const accepted = ((close && contentOf(close)['accepted']) ?? []) as Json[];
  const plan = planOf(job, round, accepted, seats);
  return {
    round,
    commitments: commitmentsOf(job, round),
    plan,
    totalMsat: plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    invoices: invoicesOf(job, round),
    aggregate: keys === null || close === undefined ? null : aggregateOf(job, round, accepted, keys),
  };
}

function commitmentsOf(job: Job, round: number): Map<string, string> {
  const reveals = job.all(4627, 'reveal').filter((event) => contentOf(event)['round'] === round);
  return new Map(
    reveals.map((event) => {
      const { shard, baseHash, updateHash, salt } = contentOf(event) as {
        [K in 'baseHash' | 'updateHash' | 'salt']: string;
      } & { shard: number };
      const place = [fromHex(job.id), u32(round), u32(shard), fromHex(event.pubkey)];
      return [event.pubkey, hex(sha256('nmkt/1/upd', ...place, fromHex(baseHash), fromHex(updateHash), fromHex(salt)))];
    }),
  );
}

/** The price of each accepted seat, one line per key, in order of keys; a price of nothing gives no line. */
function planOf(
  job: Job,
  round: number,
  accepted: readonly Json[],
  seats: SecondOpinion['seats'],
): SecondRound['plan'] {
  const payees = [...new Set(accepted.map((row) => row['trainer'] as string))].sort(byText);
  return payees
    .map((payee) => {
      const shards = accepted.filter((row) => row['trainer'] === payee).map((row) => row['shard']);
      const amountMsat = seats
        .filter(({ shard }) => shards.includes(shard))
        .reduce((sum, { priceMsat }) => sum + priceMsat, 0n);
      const payout = hex(sha256('nmkt/1/payout', fromHex(job.id), u32(round), fromHex(payee), 'trainer'));
      return { payout, payee, amountMsat };
    })
    .filter(({ amountMsat }) => amountMsat > 0n);
}

function invoicesOf(job: Job, round: number): SecondRound['invoices'] {
  const settlement = job.ofRound(4630, undefined, round);
  const receipts = job.all(4628, 'receipt').filter((event) => contentOf(event)['settlement'] === settlement?.id);
  return receipts.map((event) => {
    const content = contentOf(event) as Record<string, string>;
    const { payout, payee, amountMsat, preimage, invoice } = content as Record<
      'payout' | 'payee' | 'amountMsat' | 'preimage' | 'invoice',
      string
    >;
    const place = [fromHex(job.id), fromHex(settlement!.id), fromHex(payout), fromHex(payee)];
    const claim = hex(sha256('nmkt/1/claim', ...place, u64(BigInt(amountMsat))));
    const sections = decodeBolt11(invoice).sections as readonly { readonly name: string; readonly value?: unknown }[];
    const value = (name: string): string => String(sections.find((section) => section.name === name)?.value);
    return {
      wanted: [claim, hex(sha256(fromHex(preimage))), amountMsat].join(' '),
      got: [value('description_hash'), value('payment_hash'), value('amount')].join(' '),
    };
  });
}

function aggregateOf(job: Job, round: number, accepted: readonly Json[], keys: Json): string {
  const snapshot = contentOf(job.byId(job.terms['dataset'] as string))['shards'] as { examples: number }[];
  const order = accepted as readonly {
    readonly trainer: string;
    readonly shard: number;
    readonly submission: string;
  }[];
  const sorted = [...order].sort((a, b) => a.shard - b.shard || byText(a.trainer, b.trainer));
  const updates = sorted.map(({ submission, shard, trainer }) => {
    const entry = (keys['updates'] as Json[]).find((candidate) => candidate['submission'] === submission)!;
    const reveal = contentOf(job.byId(submission));
    const context = sha256(`update/${job.id}/${round}/${shard}/${trainer}`);
    const sealed = {
      key: fromHex(entry['key'] as string),
      pointer: entry['pointer'] as Json,
      inline: reveal['inline'],
    };
    const bytes = openBlob(job, sealed, context);
    if (hex(sha256(bytes)) !== reveal['updateHash']) throw new Error(`update ${submission} has other bytes`);
    return { examples: snapshot[shard]!.examples, tensors: readSafetensors(bytes) };
  });
  const names = Object.keys(updates[0]!.tensors).sort(byText);
  const total = updates.reduce((sum, { examples }) => sum + examples, 0);
  const means = names.map((name) => {
    const { shape, values } = updates[0]!.tensors[name]!;
    const mean = values.map((_, i) => {
      let sum = 0;
      for (const { examples, tensors } of updates) sum += examples * tensors[name]!.values[i]!;
      return sum / total;
    });
    return { name, shape, values: mean };
  });
  return hex(sha256(writeSafetensors(means)));
}

interface Sealed {
  readonly key: Uint8Array;
  readonly pointer: Json;
  readonly inline: unknown;
}

function openBlob(job: Job, { key, pointer, inline }: Sealed, context: Uint8Array): Buffer {
  const { packed, chunks, ids } = pointer as { packed: number; chunks: number; ids: string[] };
  const open = (ids: readonly string[], of: Uint8Array, purpose: number): Buffer =>
    Buffer.concat(
      ids.map((id, at) => openChunk(Buffer.from(job.byId(id).content, 'base64'), of, context, at, ids.length, purpose)),
    );
  if (chunks === 0) {
    const sealed = Buffer.from(inline as string, 'base64');
    return brotliDecompressSync(openChunk(sealed, key, context, 0, 1, 2).subarray(0, packed));
  }
  const index = chunks === 1 ? null : open(ids, expand(key, 'nmkt/1/index'), 1);
  const data =
    index === null ? ids : Array.from({ length: chunks }, (_, at) => hex(index.subarray(64 * at, 64 * at + 32)));
  return brotliDecompressSync(open(data, key, 0).subarray(0, packed));
}

/** nonce (12) || ciphertext || tag (16); data 0, index 1, inline 2. */
function openChunk(
  sealed: Buffer,
  key: Uint8Array,
  context: Uint8Array,
  at: number,
  count: number,
  purpose: number,
): Buffer {
  const aad = Buffer.concat([
    Buffer.from('nmkt/1/chunk'),
    context,
    u32(0),
    u32(at),
    u32(count),
    Buffer.from([purpose]),
  ]);
  const body = sealed.subarray(12, -16);
  const cipher = createDecipheriv('chacha20-poly1305', expand(key, 'nmkt/1/enc'), sealed.subarray(0, 12), {
    authTagLength: 16,
  });
  cipher.setAAD(aad, { plaintextLength: body.length });
  cipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(body), cipher.final()]);
}

interface FloatTensor {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

function readSafetensors(file: Buffer): Record<string, FloatTensor> {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        if (dtype !== 'F32') throw new Error(`${name} is ${dtype}`);
        const values = Array.from({ length: (to - from) / 4 }, (_, i) => file.readFloatLE(start + from + 4 * i));
        return [name, { shape, values }];
      },
    ),
  );
}

function writeSafetensors(tensors: readonly (FloatTensor & { readonly name: string })[]): Buffer {
  let at = 0;
  const entries = tensors.map(({ name, shape, values }) => {
    const from = at;
    at += 4 * values.length;
    return `"${name}":{"dtype":"F32","shape":[${shape.join(',')}],"data_offsets":[${from},${at}]}`;
  });
  const bare = `{${entries.join(',')}}`;
  const header = Buffer.from(bare.padEnd(Math.ceil(bare.length / 8) * 8, ' '));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = Buffer.alloc(at);
  tensors.flatMap(({ values }) => values).forEach((value, i) => data.writeFloatLE(value, 4 * i));
  return Buffer.concat([length, header, data]);
}
