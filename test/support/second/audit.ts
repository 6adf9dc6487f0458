import { decode as decodeBolt11 } from 'light-bolt11-decoder';
import type { Keys } from './data.js';
import { Keyed } from './keyed.js';
import { auditPatience } from './patience.js';
import { planOf, Walk, type Walked } from './rules.js';
import {
  Bad,
  Events,
  expandCommit,
  fields,
  fromHex,
  hex,
  must,
  nameOf,
  sha256,
  u64,
  type ClaimBad,
  type RawEvent,
} from './wire.js';

/**
 * A second audit of a job: written from docs/protocol.md, from raw events and plain JSON, with node:crypto and a second library
 * for invoices and signatures. Nothing here imports the code under test. Of models it knows logreg.
 */

export interface SecondVerdict {
  readonly verdict: 'PASS' | 'FAIL';
  /** The event that does not follow. */
  readonly event: string | null;
  readonly why: string | null;
}

/** @param keys  the text of audit-keys.json or audit-data.json, or null: signed events alone */
export function secondAudit(
  events: readonly RawEvent[],
  jobId: string,
  keys: string | null,
  nowSec: number,
): SecondVerdict {
  try {
    const all = new Events(events, jobId);
    const walked = auditEvents(all, jobId, nowSec);
    if (keys !== null) new Keyed(walked, all, JSON.parse(keys) as Keys).audit();
    return { verdict: 'PASS', event: null, why: null };
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    return { verdict: 'FAIL', event: error.event, why: error.message };
  }
}

function auditEvents(all: Events, jobId: string, nowSec: number): Walked {
  const job = all.at(jobId);
  const walk = new Walk(all, job);
  const { events, fork, broken, gapBefore } = all.chains.get(job.pubkey)!;
  for (const event of events.slice(1)) walk.take(event);
  must(fork === null, fork?.[0] ?? '', 'two events with one seq');
  must(broken === null, broken ?? '', 'prev names another event');
  if (gapBefore !== null) all.at(gapBefore.tags.find(([name]) => name === 'prev')![1]!);
  auditPins(all, walk);
  auditPatience(walk, all);
  auditMoney(all, walk, nowSec);
  return walk;
}

function auditPins(all: Events, { job, terms, artifact }: Walked): void {
  const { dataset, evalA, evalB, model } = terms;
  const snapshots = [dataset, evalA.snapshot, evalB.snapshot].map((id) => all.at(id));
  const [train, a, b] = snapshots.map((event) => fields(event));
  snapshots.forEach((event, i) => {
    must(nameOf(event) === '4620' && event.pubkey === job.pubkey, event.id, 'not a snapshot of the customer');
    must(fields(event).part === ['train', 'a', 'b'][i], event.id, 'another part');
  });
  must(train!.shards.length >= terms.trainers, dataset, 'too few shards');
  for (const [set, { snapshot, rows }] of [
    [a!, evalA],
    [b!, evalB],
  ] as const) {
    must(set.shards.length === 1 && set.shards[0]!.examples === rows, snapshot, 'another number of rows');
    must(JSON.stringify(set.schema) === JSON.stringify(train!.schema), snapshot, 'another schema');
  }
  const { task, inputs, outputs } = train!.schema;
  must(model.task === task && model.inputs === inputs && model.outputs === outputs, job.id, 'a model for other data');
  if (artifact === null) return;
  const { schema, key, weights } = fields(artifact);
  must(JSON.stringify(schema) === JSON.stringify(train!.schema), artifact.id, 'another schema');
  must((terms.access === 'open') === (key !== null), artifact.id, 'another access');
  must(key === null || expandCommit(key) === weights.commit, artifact.id, 'another key');
}

function auditMoney(all: Events, walked: Walked, nowSec: number): void {
  const { job, terms, rounds } = walked;
  for (const round of rounds) {
    if (round.settlement === null) continue;
    for (const { payout, payee, amountMsat } of planOf(walked, round)) {
      const receipt = round.receipts.get(payout);
      const place = [job.id, round.settlement.id, payout, payee].map(fromHex);
      for (const [id, notice] of walked.refused) {
        const { rule, invoice, payout: of } = fields<ClaimBad>(notice);
        if (of !== payout || invoice === null) continue;
        const others = rounds.flatMap(({ receipts }) => [...receipts].filter(([other]) => other !== payout));
        const used = others.map(([, event]) => fields(event).paymentHash);
        const wants = { amountMsat, claimHash: hex(sha256('nmkt/1/claim', ...place, u64(BigInt(amountMsat)))) };
        const found = broken(invoice, { ...wants, network: terms.network, at: all.at(id).created_at, used });
        must(found === rule, notice.id, `the invoice: ${found}`);
      }
      if (receipt === undefined) {
        // What a proven fraud was not paid is not owed any more.
        if (walked.frauds.has(payee) || rounds.some(({ liars }) => liars.has(payee))) continue;
        const theirs = all.chains.get(payee)?.events ?? [];
        const given = theirs.filter((event) => nameOf(event) === '4633/void').map((event) => fields(event).claim);
        const claim = theirs.findLast((event) => {
          const said = fields(event);
          const isIt = nameOf(event) === '4633/claim' && said.payout === payout && said.amountMsat === amountMsat;
          const isOpen = !given.includes(event.id) && !walked.refused.has(event.id);
          return isIt && said.settlement === round.settlement!.id && isOpen;
        });
        if (claim !== undefined) must(nowSec <= claim.created_at + terms.payWithinSec, claim.id, 'not paid');
        continue;
      }
      const { invoice, paymentHash } = fields(receipt);
      const wanted = hex(sha256('nmkt/1/claim', ...place, u64(BigInt(amountMsat))));
      must(read(invoice) === [wanted, paymentHash, amountMsat].join(' '), receipt.id, 'another invoice');
      const asked = [...all.byId.values()].filter(
        (event) => event.pubkey === payee && nameOf(event) === '4633/claim' && fields(event).payout === payout,
      );
      const hashes = asked.map((event) => fields(event).invoiceHash);
      must(hashes.includes(hex(sha256('nmkt/1/invoice', invoice))), receipt.id, 'an invoice that nobody claimed with');
      must(prefixIn(invoice) === PREFIX[terms.network], receipt.id, 'another network');
    }
  }
}

const PREFIX: Readonly<Record<string, string>> = {
  ...{ bitcoin: 'bc', testnet: 'tb', signet: 'tbs', simnet: 'sb', regtest: 'bcrt', sandbox: 'bcrt' },
};
const prefixIn = (invoice: string): string | undefined => /^ln(bcrt|bc|tbs|tb|sb)\d*[munp]?1/.exec(invoice)?.[1];

interface Wanted {
  readonly amountMsat: string;
  readonly claimHash: string;
  readonly network: string;
  readonly at: number;
  readonly used: readonly string[];
}

/** "Refused claims" of docs/protocol.md. */
function broken(invoice: string, { amountMsat, claimHash, network, at, used }: Wanted): string | null {
  const said = read(invoice).split(' ');
  if (said.length !== 3) return 'text';
  const { sections } = decodeBolt11(invoice) as { sections: readonly { name: string; value?: unknown }[] };
  const number = (name: string, otherwise: number): number =>
    Number(sections.find((section) => section.name === name)?.value ?? otherwise);
  if (prefixIn(invoice) !== PREFIX[network]) return 'network';
  if (said[2] !== amountMsat) return 'amount';
  if (said[0] !== claimHash) return 'claim';
  if (number('timestamp', 0) + number('expiry', 3_600) < at + 82_800) return 'expiry';
  if (number('min_final_cltv_expiry', 18) > 80) return 'hold';
  return used.includes(said[1]!) ? 'reused' : null;
}

/** Description hash, payment hash and amount of an invoice; empty when it is none. */
function read(invoice: string): string {
  try {
    const sections = decodeBolt11(invoice).sections as readonly { readonly name: string; readonly value?: unknown }[];
    const value = (name: string): string => String(sections.find((section) => section.name === name)?.value);
    return [value('description_hash'), value('payment_hash'), value('amount')].join(' ');
  } catch {
    return '';
  }
}
