import { epochPrk, shardKey, uploadSecret } from '../../../src/blob/keys.js';
import { parseKeyText } from '../../../src/config/key-text.js';
import { decodeRecord } from '../../../src/journal/record-json.js';
import { fromHex, hex } from '../../../src/hash.js';
import { chainElement } from '../../../src/learning/seeds.js';
import { parseSnapshot } from '../../../src/protocol/dataset.js';
import { KINDS } from '../../../src/protocol/kinds.js';
import type { NostrEvent } from '../../../src/ports.js';
import type { JobSecrets, OwnedEpoch } from '../../../src/roles/customer-env.js';
import { blobSecrets } from '../../../src/roles/round-blobs.js';
import type { LedgerRecord } from '../../../src/wallet/ledger.js';
import { parseWalletUri } from '../../../src/wallet/wallet-uri.js';
import type { Secret } from './needles.js';
import type { Given } from './outputs.js';

/** The secrets in the files of participants, and what follows from them. */

/** A file that a crash left beside the one it was to become has the same mode. */
const place = (pattern: string): RegExp => new RegExp(`(^|/)${pattern}(\\.[^/]*tmp)?$`);
export const SETTINGS = place('[^/]*\\.json');
const KEY = place('key');
const WALLET = place('wallet');
const SANDBOX = place('sandbox-keys\\.json');
const LEDGER = place('ledger\\.jsonl');
const JOB = place('jobs/[0-9a-f]{64}/job\\.json');
const DATASET = place('datasets/[0-9a-f]{64}(/plan)?\\.json');
const AUDIT_KEYS = place('audit-keys\\.json');
const AUDIT_DATA = place('audit-data\\.json');
const UPDATE = place('jobs/[0-9a-f]{64}/update-[0-9a-f]{64}(-[0-9]+)?\\.bin');
const BUNKER = place('bunkers/[0-9a-f]{64}\\.json');

const secretOf = (name: string, value: string, ...places: readonly RegExp[]): Secret => ({ name, value, places });

const shownIn = (name: string, value: string, ...shown: readonly RegExp[]): Secret => ({
  name,
  value,
  places: [],
  shown,
});
const NOT_AN_EVENT = /^(?!event\/)/;

/** Files that hold a person's key or wallet: the file of that name, or settings, which any name may have. */
const PERSONAL = [KEY, SETTINGS, SANDBOX];
export const identityKey = (value: string): Secret => secretOf('private key', value, ...PERSONAL, BUNKER);
export const walletSecret = (value: string): Secret => secretOf('wallet secret', value, WALLET, SETTINGS, SANDBOX);

/** A key or a wallet as typed: what is neither is nothing. */
export function secretsInText(text: string): Secret[] {
  const found: Secret[] = [];
  try {
    const key = parseKeyText(text.trim(), 'a test');
    if (key.form === 'plain') found.push(identityKey(hex(key.secret)));
    if (key.form === 'bunker' && key.secret !== null) found.push(secretOf('bunker secret', key.secret, ...PERSONAL));
  } catch {
    // Nor a key.
  }
  try {
    found.push(walletSecret(parseWalletUri(text.trim()).secret));
  } catch {
    // Nor a wallet.
  }
  return found;
}

export function secretsOfGiven({ kind, text }: Given): Secret[] {
  if (kind === 'password') return [password(text)];
  if (kind === 'key') return [secretOf('key of a test', text)];
  return kind === 'salt' ? [commitmentSalt(text)] : secretsInText(text);
}

export function secretsOfEpoch({ event, secrets }: OwnedEpoch): Secret[] {
  const { manifest } = parseSnapshot(event);
  const prk = epochPrk(manifest.salt, fromHex(secrets.key));
  const shards = manifest.shards.map((_, shard) => secretOf('shard key', hex(shardKey(prk, shard)), AUDIT_DATA));
  return [
    secretOf('dataset key', secrets.key, DATASET, JOB),
    secretOf('blind of a locator', secrets.blind, DATASET, JOB, AUDIT_DATA),
    secretOf('salt of an evaluation set', secrets.salt, DATASET, JOB, AUDIT_DATA),
    secretOf('key of all shards', hex(prk)),
    secretOf('upload key', hex(uploadSecret(prk))),
    ...shards,
  ];
}

export function secretsOfJob(secrets: JobSecrets): Secret[] {
  const terms = JSON.parse(secrets.event.content) as { rounds: number; access: string };
  const chain = fromHex(secrets.chain);
  const blobs = fromHex(secrets.blobs);
  const rounds = Array.from({ length: Math.min(terms.rounds, 50) }, (_, round) => blobSecrets(blobs, 'base', round));
  const artifact = blobSecrets(blobs, 'artifact', 0);
  return [
    secretOf('seed', secrets.seed, JOB, AUDIT_KEYS, AUDIT_DATA),
    secretOf('secret of all round keys', secrets.blobs, JOB),
    secretOf('secret of the samples', secrets.scoring, JOB),
    secretOf('chain', secrets.chain, JOB, AUDIT_DATA),
    // A link is shown by the draw of its round, by nothing else and so not before.
    ...rounds.map((_, round) =>
      shownIn(`link ${round} of the chain`, hex(chainElement(chain, terms.rounds, round)), drawOf(round)),
    ),
    ...rounds.map(({ key }) => secretOf('round key', hex(key), AUDIT_KEYS, AUDIT_DATA)),
    ...[...rounds, artifact].map(({ upload }) => secretOf('upload key', hex(upload))),
    // Published with the model where everyone may have it.
    ...(terms.access === 'open' ? [] : [secretOf('artifact key', hex(artifact.key), AUDIT_KEYS, AUDIT_DATA)]),
    ...[secrets.train, secrets.a, secrets.b].flatMap(secretsOfEpoch),
  ];
}

const drawOf = (round: number): RegExp => new RegExp(`^event/${KINDS.round}/draw/${round}$`);
const REVEAL = new RegExp(`^event/${KINDS.submission}/reveal/`);
/** A wrong key that was sold is proven by the preimage that was paid for, too. */
const RECEIPT = new RegExp(`^event/${KINDS.notice}/(receipt|key-fraud)/`);

const commitmentSalt = (value: string): Secret => ({
  ...secretOf('salt of a commitment', value, UPDATE),
  shown: [REVEAL],
});

/** Salt 32, secret 32, update. The salt of a commitment is shown by its reveal. */
export function secretsOfUpdate(file: Buffer): Secret[] {
  if (file.length < 64) return [];
  return [
    commitmentSalt(file.toString('hex', 0, 32)),
    secretOf('secret of an update', file.toString('hex', 32, 64), UPDATE),
  ];
}

/** The proof of a payment, the payee's alone before it; among events the receipt shows it. */
export const paidPreimage = (value: string): Secret => shownIn('preimage', value, RECEIPT, NOT_AN_EVENT);
export const unpaidPreimage = (value: string): Secret => secretOf('preimage of an unpaid invoice', value, LEDGER);
export const password = (value: string): Secret => secretOf('password', value, /password/);

/** @param records  of the books of a wallet service */
export function secretsOfBooks(records: readonly LedgerRecord[]): Secret[] {
  const paid = new Set(records.flatMap((record) => (record.type === 'payment' ? [record.paymentHash] : [])));
  return records.flatMap((record) => {
    if (record.type === 'settle') return [paidPreimage(record.preimage)];
    // Of a hold invoice its payee alone knows it.
    if (record.type !== 'invoice' || record.preimage === '') return [];
    return [paid.has(record.paymentHash) ? paidPreimage(record.preimage) : unpaidPreimage(record.preimage)];
  });
}

function secretsOfLedger(text: string): Secret[] {
  const lines = text.split('\n').slice(0, -1);
  return secretsOfBooks(lines.map((line) => decodeRecord(line) as LedgerRecord));
}

function secretsOfSandbox(json: string): Secret[] {
  const { node, service, participants } = JSON.parse(json) as {
    node: string;
    service: string;
    participants: Readonly<Record<string, { key: string; connection: string }>>;
  };
  return [
    secretOf('key of the node', node, SANDBOX),
    secretOf('key of the wallet service', service, SANDBOX),
    ...Object.values(participants).flatMap(({ key, connection }) => [identityKey(key), walletSecret(connection)]),
  ];
}

/** Fields of a settings file. */
function secretsOfSettings(json: string): Secret[] {
  const value = JSON.parse(json) as { key?: unknown; wallet?: unknown } | null;
  const texts = [value?.key, value?.wallet].filter((field) => typeof field === 'string');
  return texts.flatMap(secretsInText);
}

/** @param path  inside the folder of the test */
export function secretsOfFile(path: string, bytes: Buffer): Secret[] {
  const read = (): Secret[] => {
    if (UPDATE.test(path)) return secretsOfUpdate(bytes);
    if (bytes.length > 4 << 20) return [];
    const text = bytes.toString('utf8');
    if (LEDGER.test(path)) return secretsOfLedger(text);
    if (SANDBOX.test(path)) return secretsOfSandbox(text);
    if (JOB.test(path)) return secretsOfJob(JSON.parse(text) as JobSecrets);
    if (DATASET.test(path)) {
      const { train, a, b } = JSON.parse(text) as Record<'train' | 'a' | 'b', OwnedEpoch & { event: NostrEvent }>;
      return [train, a, b].flatMap(secretsOfEpoch);
    }
    if (BUNKER.test(path)) return secretsInText((JSON.parse(text) as { client: string }).client);
    if (KEY.test(path) || WALLET.test(path)) return secretsInText(text);
    return SETTINGS.test(path) && !AUDIT_KEYS.test(path) && !AUDIT_DATA.test(path) ? secretsOfSettings(text) : [];
  };
  try {
    return read();
  } catch {
    // Damaged on purpose, or of another sort than its name says: what it held is known from elsewhere, or to nobody.
    return [];
  }
}
