import { bech32 } from '@scure/base';
import { decode as decodeByOthers } from 'light-bolt11-decoder';
import { naddrEncode, neventEncode, nprofileEncode } from 'nostr-tools/nip19';
import { decodeReceiptInvoice } from '../../src/commands/find-job.js';
import { formatEventId, formatPubkey, formatSecretKey, parseEventReference } from '../../src/config/identifiers.js';
import { parsePubkey, parseSecretKey } from '../../src/config/identifiers.js';
import { sha256, hex, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import { sealedClaim } from '../../src/protocol/claim.js';
import { parseJson } from '../../src/protocol/json.js';
import { decodeInvoice, encodeInvoice } from '../../src/wallet/bolt11.js';
import { parseAmount } from '../../src/wallet/bolt11-amount.js';
import { cleanText, readLookup, readNetwork, readPayment } from '../../src/wallet/nwc-answers.js';
import { formatWalletUri, parseWalletUri } from '../../src/wallet/wallet-uri.js';
import { NOW, secretOf } from '../relay/samples.js';
import { FakeLightning } from '../support/fake-wallet.js';
import { booksTarget } from './ledger-target.js';
import { mutateJson, mutateText, type Random } from './mutate.js';
import { readIdentifier, readInvoice } from './reference/bech32.js';
import { sealedClaim as sealedClaimFields } from './reference/contents.js';
import { hashOfHex, readWalletUri } from './reference/files.js';
import { readContent, refuse } from './reference/json.js';
import { target, type Target } from './target.js';
import { jsonOrText } from './wire-targets.js';

/** Invoices, wallets, and what people type for keys and events. */

/** A bech32 text whose data changed and whose checksum is right again. */
function mutateBech32(random: Random, samples: readonly string[]): string {
  const sample = random.pick(samples);
  if (random.below(3) === 0) return mutateText(random, [sample]);
  const { prefix, words } = bech32.decode(sample as `${string}1${string}`, false);
  for (let times = random.below(4); times >= 0; times--) {
    const at = random.below(words.length);
    if (random.below(3) > 0) words[at] = random.below(32);
    else words.splice(at, random.below(60), ...Array.from({ length: random.below(60) }, () => random.below(32)));
  }
  const human = random.below(4) === 0 ? mutateText(random, [prefix]).slice(0, 80) : prefix;
  return /^[\x21-\x7e]+$/.test(human) ? bech32.encode(human.toLowerCase(), words, false) : human;
}

const hash = 'cd'.repeat(32);
const preimage = hex(sha256('preimage'));
const lightning = new FakeLightning({ nowSec: () => NOW });
const invoices = [
  ...(
    await Promise.all(
      [1n, 21_000n, 2_500_000_000n].map((msat) =>
        lightning.wallet('a').makeInvoice({ msat, descriptionHash: 'ab'.repeat(32) as Sha256, expirySec: 3_600 }),
      ),
    )
  ).map(({ invoice }) => invoice),
  ...[
    { description: 'a cup of tea 😀', minFinalCltv: 40 },
    { paymentSecret: hash, expirySec: 60 },
  ].map((fields) =>
    encodeInvoice(
      { ...{ prefix: 'bc', msat: 1_000n, timestampSec: NOW, paymentHash: hash as Sha256 }, ...fields },
      secretOf('node'),
    ),
  ),
];
const known = { preimage, state: 'settled', type: 'outgoing', fees_paid: 21, settled_at: NOW };
const paymentHash = hashOfHex(preimage);

const identifiers = [
  ...[hash, formatPubkey(hash as Pubkey), formatEventId(hash as EventId, ['wss://relay.example'], hash as Pubkey)],
  ...[neventEncode({ id: hash, kind: 4623 }), nprofileEncode({ pubkey: hash, relays: ['wss://relay.example'] })],
  ...[formatSecretKey(secretOf('a')), naddrEncode({ kind: 34_620, pubkey: hash, identifier: 'iris', relays: [] })],
];
const wallets = [
  formatWalletUri({ walletPubkey: hash as Pubkey, relays: ['ws://127.0.0.1:1'], secret: hash }),
  formatWalletUri({ walletPubkey: hash as Pubkey, relays: ['wss://a.example', 'wss://b.example/x?y=z'], secret: hash }),
];

/** A person, an event or a key: the 32 bytes that the text stands for. */
const read = (text: string, kinds: readonly string[]): string => {
  const { kind, hex: found } = readIdentifier(text);
  return kinds.includes(kind) ? found : refuse(`${kind} is another thing`);
};

export const walletTargets: readonly Target[] = [
  target('invoices', ['bad-invoice'], {
    share: 1.5,
    make: (random) => mutateBech32(random, invoices),
    run: decodeInvoice,
    reference: (text) => {
      agreeWithOthers(text);
      return readInvoice(text);
    },
  }),
  target('invoices of receipts', [], {
    share: 0.5,
    make: (random) => mutateBech32(random, invoices),
    run: decodeReceiptInvoice,
    reference: (text) => {
      if (decodeReceiptInvoice(text) === null) return null;
      const invoice = readInvoice(text) as Record<string, unknown>;
      const { prefix, msat, paymentHash, descriptionHash = null } = invoice;
      const { timestampSec, expirySec, minFinalCltv, payee } = invoice;
      return { prefix, msat, paymentHash, descriptionHash, timestampSec, expirySec, minFinalCltv, payee };
    },
  }),
  target('amounts of invoices', ['bad-invoice'], {
    make: (random) =>
      random.pick([
        mutateText(random, ['1', '20m', '2500u', '10n', '10p']),
        `${random.below(99_999)}${random.pick(['', 'm', 'u', 'n', 'p'])}`,
      ]),
    run: parseAmount,
    reference: (text) => {
      // In tenths of a millisatoshi, so that nothing is lost.
      const units = { m: 9, u: 6, n: 3, p: 0 } as Readonly<Record<string, number>>;
      const power = units[text.at(-1)!];
      const digits = power === undefined ? text : text.slice(0, -1);
      if (!/^[1-9][0-9]*$/.test(digits)) return refuse('no amount');
      const tenths = BigInt(digits) * 10n ** BigInt(power ?? 12);
      return tenths % 10n === 0n && tenths <= 21_000_000_000_000_000_000n ? tenths / 10n : refuse('no amount');
    },
  }),
  target('sealed claims', ['ZodError'], {
    make: (random) => jsonOrText(random, JSON.stringify({ invoice: random.pick(invoices) })),
    run: (text) => sealedClaim.parse(parseJson(text)),
    reference: (text) => sealedClaimFields(readContent(text)),
  }),
  target('wallet connections', ['bad-settings'], {
    make: (random) => mutateText(random, wallets),
    run: parseWalletUri,
    reference: readWalletUri,
  }),
  target('answers of wallets', [], {
    make: (random) => mutateJson(random, known),
    run: (row) => {
      const answer = (typeof row === 'object' && row !== null ? row : {}) as Record<string, unknown>;
      readNetwork(row);
      return [
        readPayment(answer, paymentHash),
        readLookup(answer, paymentHash),
        cleanText(row, ['secret']).length <= 200,
      ];
    },
    reference: (row) => {
      // Paid is what a preimage of the payment hash proves, and nothing else.
      const {
        preimage: proof,
        state,
        type,
        fees_paid: fees,
        settled_at,
      } = (typeof row === 'object' && row !== null ? row : {}) as Record<string, unknown>;
      const isProven = typeof proof === 'string' && /^[0-9a-fA-F]{64}$/.test(proof) && hashOfHex(proof) === paymentHash;
      const feesMsat = Number.isSafeInteger(fees) && (fees as number) >= 0 ? BigInt(fees as number) : undefined;
      const direction = type === 'outgoing' ? 'out' : type === 'incoming' ? 'in' : 'unknown';
      const named = state ?? (Number(settled_at) > 0 ? 'settled' : undefined);
      const isPending = named === 'pending' || named === 'accepted';
      const found = isPending
        ? 'pending'
        : named === 'failed'
          ? 'failed'
          : named === 'settled' && (isProven || typeof proof !== 'string' || proof === '')
            ? 'settled'
            : 'unknown';
      return [
        isProven
          ? { kind: 'paid', preimage: proof.toLowerCase(), feesMsat: feesMsat ?? 0n }
          : { kind: 'unknown', why: 'the wallet says paid, but its preimage is not the one of the invoice' },
        {
          direction,
          state: found,
          ...(found === 'settled' && { preimage: isProven ? proof.toLowerCase() : undefined, feesMsat }),
        },
        true,
      ];
    },
  }),
  booksTarget,
  target('identifiers of events', ['bad-key'], {
    share: 1.5,
    make: (random) => mutateBech32(random, identifiers.slice(1)),
    run: (text) => {
      const found = parseEventReference(text);
      return found.type === 'id' ? found.id : found.author;
    },
    reference: (text) => read(text, ['hex', 'note', 'nevent', 'naddr']),
  }),
  target('identifiers of people', ['bad-key'], {
    share: 1.5,
    make: (random) => mutateBech32(random, identifiers.slice(1)),
    run: parsePubkey,
    reference: (text) => read(text, ['hex', 'npub', 'nprofile']),
  }),
  target('private keys', ['bad-key'], {
    make: (random) => (random.below(3) > 0 ? mutateBech32(random, identifiers.slice(1)) : mutateText(random, [hash])),
    run: (text) => parseSecretKey(text, 'a test'),
    reference: (text) => {
      const found = read(text, ['hex', 'nsec']);
      const order = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
      return BigInt(`0x${found}`) > 0n && BigInt(`0x${found}`) < order ? found : refuse('no scalar');
    },
  }),
  target('hex identifiers', ['bad-key'], {
    make: (random) => mutateText(random, [hash]),
    run: (text) => {
      const found = parseEventReference(text);
      return found.type === 'id' ? found.id : found.author;
    },
    reference: (text) => read(text, ['hex', 'note', 'nevent', 'naddr']),
  }),
];

/** Another decoder's word on what it reads too: it knows less of the specification, and refuses some amounts and fields. */
function agreeWithOthers(text: string): void {
  let sections: ReturnType<typeof decodeByOthers>['sections'];
  try {
    sections = decodeByOthers(text).sections;
  } catch {
    return;
  }
  const ours = decodeInvoice(text);
  const of = (name: string): unknown =>
    (sections.find((section) => section.name === name) as { value?: unknown } | undefined)?.value;
  const theirs = [of('payment_hash'), of('amount') ?? null, of('timestamp')];
  const same = [ours.paymentHash, ours.msat === null ? null : `${ours.msat}`, ours.timestampSec];
  if (JSON.stringify(theirs) !== JSON.stringify(same))
    throw new Error(`${JSON.stringify(theirs)}, and ${JSON.stringify(same)} here`);
}
