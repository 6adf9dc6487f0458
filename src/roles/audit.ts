import { z } from 'zod';
import { isNmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import { initialParams, paramsHash } from '../learning/params.js';
import { initialisationSeed, seedCommitment } from '../learning/seeds.js';
import type { DataSchema } from '../learning/types.js';
import type { JobState, RoundState } from '../market/state.js';
import type { DatasetManifest } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import { blobPointer } from '../protocol/pointer.js';
import { bytes32, eventId, int } from '../protocol/scalars.js';
import { claimHash } from '../protocol/settlement.js';
import type { Relays } from '../ports.js';
import { aggregate, judgeRound, openUpdates } from './measure.js';
import { artifactLabel, baseLabel, fetchParams } from './round-blobs.js';

/** What opens a job's rounds and updates, never its shards: written by collect-model, given to whoever audits. */
export const auditKeys = z.object({
  job: eventId,
  seed: bytes32,
  rounds: z.array(z.object({ round: int(0, 100_000), key: bytes32 })).max(10_000),
  updates: z.array(z.object({ submission: eventId, key: bytes32, pointer: blobPointer })).max(1_000_000),
  artifact: bytes32.nullable(),
});
export type AuditKeys = z.output<typeof auditKeys>;

/** The first event that does not follow, and why. */
export interface Finding {
  readonly event: EventId;
  readonly rule: string;
  readonly detail: string;
}

/** What a receipt's invoice proves; decoded by the caller. Null when it does not decode or its signature is bad. */
export type DecodeInvoice = (
  invoice: string,
) => { readonly msat: bigint | null; readonly paymentHash: string; readonly descriptionHash: string | null } | null;

/** From signed events alone: chains, award, lists, acceptance, settlements, receipts, omissions. */
export function auditPublic(state: JobState, decode: DecodeInvoice, nowSec: number): Finding | null {
  if (state.job === null) return { event: state.jobId, rule: 'missing', detail: 'the job event is not at hand' };
  if (state.firstBad !== null) return state.firstBad;
  // A participant that forks counts as absent from there on; only the customer's fork breaks the job.
  const fork = state.forks.find(({ author }) => author === state.job!.author);
  if (fork !== undefined)
    return {
      event: fork.ids[0]!,
      rule: 'fork',
      detail: `${fork.author} signed two events with seq ${fork.seq}: ${fork.ids.join(' and ')}`,
    };
  const missing = state.missing[0];
  if (missing !== undefined)
    return { event: missing, rule: 'missing', detail: 'an event that others cite is on no relay that answered' };
  for (const round of state.rounds) {
    const found = auditMoney(state, round, decode, nowSec);
    if (found !== null) return found;
  }
  return null;
}

function auditMoney(state: JobState, round: RoundState, decode: DecodeInvoice, nowSec: number): Finding | null {
  for (const payout of round.payouts) {
    const { receipt, claim } = payout;
    if (receipt === null) {
      const due = claim === null ? null : claim.createdAt + state.job!.content.payWithinSec;
      if (due !== null && nowSec > due)
        return {
          event: claim!.id,
          rule: 'unpaid',
          detail: `${payout.amountMsat} msat claimed by ${payout.payee} are not paid`,
        };
      continue;
    }
    const invoice = decode(receipt.content.invoice);
    const wanted = claimHash({
      job: state.jobId,
      settlement: round.settlement!.id,
      payout: payout.payout,
      payee: payout.payee,
      amountMsat: payout.amountMsat,
    });
    const wrong =
      invoice === null
        ? 'its invoice is not a signed BOLT11 invoice'
        : invoice.paymentHash !== receipt.content.paymentHash
          ? 'its invoice has another payment hash'
          : invoice.msat !== payout.amountMsat
            ? `its invoice is over ${invoice.msat ?? 'any'} msat, owed were ${payout.amountMsat}`
            : invoice.descriptionHash !== wanted
              ? 'its invoice does not name this claim'
              : null;
    if (wrong !== null) return { event: receipt.id, rule: 'receipt', detail: wrong };
  }
  return null;
}

export interface KeyAuditPorts {
  readonly relays: Relays;
  readonly keys: AuditKeys;
  readonly manifest: DatasetManifest;
  readonly signal?: AbortSignal;
  onProgress?(text: string): void;
}

/** With the audit keys: blobs opened, hashes and Merkle roots checked, acceptance repeated, aggregates recomputed to the byte. */
export async function auditWithKeys(state: JobState, ports: KeyAuditPorts): Promise<Finding | null> {
  const job = state.job!;
  const { keys } = ports;
  if (seedCommitment(keys.seed) !== job.content.seedCommitment)
    return { event: job.id, rule: 'seed', detail: 'the seed is not the one the job committed to' };
  let model: Sha256 = paramsHash(initialParams(job.content.model, initialisationSeed(keys.seed)));
  for (const round of state.rounds) {
    ports.onProgress?.(`recomputing round ${round.round + 1} of ${state.rounds.length}`);
    if (round.open.content.base.sha256 !== model)
      return { event: round.open.id, rule: 'base', detail: `the round must start from ${model}` };
    const opened = await openBase(state, round, ports);
    if (opened !== null) return opened;
    if (round.close === null) continue;
    const found = await auditClose(job, round, round.close, ports);
    if (found !== null) return found;
    model = round.close.content.aggregate;
  }
  const { artifact } = state;
  // Whoever predicts with the model fills and scales columns by this.
  if (artifact !== null && spellSchema(artifact.content.schema) !== spellSchema(ports.manifest.schema))
    return { event: artifact.id, rule: 'schema', detail: 'its schema is not that of the dataset the job pins' };
  if (artifact === null || keys.artifact === null) return null;
  return opens(artifact.id, () =>
    fetchParams(
      ports.relays,
      {
        pointer: artifact.content.weights,
        inline: artifact.content.inline,
        key: keys.artifact!,
        label: artifactLabel(job.id),
      },
      job.content.model,
      ports.signal,
    ),
  );
}

/** Both were parsed by one schema, which puts fields in one order. */
const spellSchema = (schema: DataSchema): string => JSON.stringify(schema);

async function openBase(
  state: JobState,
  round: RoundState,
  { relays, keys, signal }: KeyAuditPorts,
): Promise<Finding | null> {
  const key = keys.rounds.find((entry) => entry.round === round.round)?.key;
  if (key === undefined)
    return { event: round.open.id, rule: 'key', detail: 'the audit keys hold no key to this round' };
  const { base, inline } = round.open.content;
  return opens(round.open.id, () =>
    fetchParams(
      relays,
      { pointer: base, inline, key, label: baseLabel(state.jobId, round.round) },
      state.job!.content.model,
      signal,
    ),
  );
}

async function opens(event: EventId, open: () => Promise<unknown>): Promise<Finding | null> {
  try {
    await open();
    return null;
  } catch (error) {
    if (isNmktError(error, 'interrupted')) throw error;
    return { event, rule: 'blob', detail: (error as Error).message };
  }
}

async function auditClose(
  job: EventOf<'job'>,
  round: RoundState,
  close: EventOf<'close'>,
  { relays, keys, manifest, signal }: KeyAuditPorts,
): Promise<Finding | null> {
  const byId = new Map(keys.updates.map((update) => [update.submission, update]));
  const lookUp = async (reveal: EventOf<'reveal'>) => {
    const found = byId.get(reveal.id);
    if (found === undefined) throw new RangeError('the audit keys hold no key to this update');
    return found;
  };
  const { params, findings } = await openUpdates(relays, lookUp, job, round, signal);
  for (const { submission, trainer } of close.content.accepted) {
    const finding = findings.get(trainer);
    if (finding !== undefined) return { event: submission, rule: finding.rule, detail: finding.detail };
  }
  const again = judgeRound(job, round, findings, round.scores!.content.scores);
  const spell = (rows: readonly { readonly submission: EventId }[]) => rows.map((row) => row.submission).join(' ');
  if (spell(again.accepted) !== spell(close.content.accepted))
    return { event: close.id, rule: 'acceptance', detail: 'the accepted updates are not those that pass the rules' };
  const { hash } = aggregate(close.content.accepted, params, (shard) => manifest.shards[shard]!.examples);
  return hash === close.content.aggregate
    ? null
    : {
        event: close.id,
        rule: 'aggregate',
        detail: `FedAvg of the accepted updates hashes to ${hash}, published was ${close.content.aggregate}`,
      };
}

export function encodeAuditKeys(keys: AuditKeys): string {
  return `${JSON.stringify(z.encode(auditKeys, keys), undefined, 2)}\n`;
}

/** @throws ZodError or SyntaxError for anything else */
export function parseAuditKeys(text: string): AuditKeys {
  return z.decode(auditKeys, JSON.parse(text) as z.input<typeof auditKeys>);
}
