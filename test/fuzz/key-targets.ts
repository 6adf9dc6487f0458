import { createDecipheriv } from 'node:crypto';
import { dirname, join } from 'node:path';
import { encrypt } from 'nostr-tools/nip49';
import { makeHeader, MAGIC, parseHeader } from '../../src/backup/header.js';
import { openBackup } from '../../src/backup/read.js';
import { openChunk, sealChunk } from '../../src/backup/seal.js';
import { readKeys } from '../../src/commands/audit-keys.js';
import { readSession } from '../../src/config/bunker-session.js';
import { openEncryptedKey, readPasswordFile } from '../../src/config/encrypted-key.js';
import { openHome } from '../../src/config/home.js';
import { formatSecretKey } from '../../src/config/identifiers.js';
import { parseKeyText } from '../../src/config/key-text.js';
import { concatBytes, sha256, u32be, utf8, type EventId, type Pubkey } from '../../src/hash.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { NOW, secretOf, seededRandom, signerOf } from '../relay/samples.js';
import { fileOf } from './files.js';
import { mutateBytes, mutateText, type Random } from './mutate.js';
import { readIdentifier } from './reference/bech32.js';
import { auditKeys } from './reference/contents.js';
import { plainOf } from './reference/files.js';
import { readContent, readJson, refuse } from './reference/json.js';
import { target, type Target } from './target.js';
import { jsonOrText } from './wire-targets.js';

/** Keys and what keeps them: texts, passwords, bunkers, backups, files for auditors. */

const secret = secretOf('a');
const hash = 'cd'.repeat(32);
/** Cheap to open: 2^4 rounds of scrypt. */
const ncryptsec = encrypt(secret, 'password', 4);
const bunker = `bunker://${hash}?relay=wss%3A%2F%2Frelay.example&secret=abc`;
const keyTexts = [formatSecretKey(secret), hash, ncryptsec, `# npub1x\n${ncryptsec}\n`, bunker];

const key = sha256('content key');
const aad = sha256('aad');
const sealed = sealChunk(key, aad, 0, true, utf8('a home'));
const header = await makeHeader(key, {
  signer: signerOf('a'),
  createdAt: NOW,
  password: undefined,
  random: seededRandom('backup'),
});
const lock = { type: 'scrypt', logN: 17, salt: hash, sealed: 'ab'.repeat(48) };
const headers = [
  header,
  utf8(JSON.stringify({ ...(JSON.parse(Buffer.from(header).toString()) as object), locks: [lock] })),
];
const backup = concatBytes(utf8(MAGIC), u32be(header.length), header, sealed);

const session = { client: hash, pubkey: 'ab'.repeat(32), invitation: '0123456789abcdef' };
const job = 'ab'.repeat(32) as EventId;
const keys = encodeAuditKeys({
  ...{ job, seed: key, rounds: [{ round: 0, key }], roots: [{ round: 0, key }], updates: [], artifact: null },
  heads: [{ author: hash as Pubkey, event: job }],
});

const brokenText = (random: Random, texts: readonly string[]): string =>
  random.below(3) > 0
    ? mutateText(random, texts)
    : random.pick(texts).replace(/[a-z0-9](?=[^a-z0-9]*$)/, (char) => (char === 'q' ? 'p' : 'q'));

export const keyTargets: readonly Target[] = [
  target('texts of keys', ['bad-key'], {
    share: 2,
    make: (random) => brokenText(random, keyTexts),
    run: (text) => parseKeyText(text, 'a test'),
    reference: (text) => {
      const lines = text.split('\n').map((line) => line.trim());
      const bare = lines.filter((line) => line !== '' && !line.startsWith('#')).join('');
      if (bare.toLowerCase().startsWith('bunker:') || /^(nostr:)?ncryptsec1/i.test(bare)) return undefined;
      const { kind, hex } = readIdentifier(bare);
      return kind === 'nsec' || kind === 'hex' ? { form: 'plain', secret: hex } : refuse(`${kind} is no private key`);
    },
  }),
  target('keys under a password', ['bad-key', 'wrong-password'], {
    share: 0.3,
    // Another cost would only be slower: the first words stay.
    make: (random) => ncryptsec.slice(0, 16) + mutateText(random, [ncryptsec.slice(16)]),
    run: (text) => openEncryptedKey(text, 'password', 'a test'),
    reference: (text) => (text.toLowerCase() === ncryptsec ? secret : refuse('a changed text was opened')),
  }),
  target('files of passwords', ['bad-settings'], {
    share: 0.3,
    make: (random) => mutateText(random, ['pass word\n', ' x\r\n', `${'x'.repeat(65_535)}\n`]),
    run: (text) => readPasswordFile(fileOf('password', text), '--password-file'),
    reference: (text) => {
      const read = Buffer.from(text).toString();
      return read.endsWith('\r\n') ? read.slice(0, -2) : read.endsWith('\n') ? read.slice(0, -1) : read;
    },
  }),
  target('what a home knows of a bunker', ['bad-settings'], {
    share: 0.3,
    make: (random) => jsonOrText(random, JSON.stringify(session)),
    run: (text) => {
      const home = dirname(dirname(fileOf(join('bunker-home', 'bunkers', `${hash}.json`), text)));
      return readSession(openHome(home), { pubkey: hash as Pubkey, relays: [], secret: null });
    },
    reference: (text) => {
      const value = plainOf(readJson(Buffer.from(text).toString())) as Partial<typeof session> | null;
      const hex = (field: unknown) => (typeof field === 'string' && /^[0-9a-f]{64}$/.test(field) ? field : null);
      const client = hex(value?.client);
      if (client === null) return null;
      const invitation = typeof value?.invitation === 'string' ? value.invitation : null;
      return { client, pubkey: hex(value?.pubkey), invitation };
    },
  }),
  target('headers of backups', ['bad-backup'], {
    make: (random) => Buffer.from(jsonOrText(random, Buffer.from(random.pick(headers)).toString())),
    run: parseHeader,
    reference: (bytes) => plainOf(readJson(bytes.toString())),
  }),
  target('backups', ['bad-backup'], {
    share: 0.5,
    make: (random) => mutateBytes(random, [backup]),
    run: async (file) => {
      const opened = await openBackup(fileOf('backup', file));
      await opened.close();
      return opened.header.pubkey;
    },
    reference: (file) => {
      const bytes = Buffer.from(file);
      const start = MAGIC.length + 4;
      const length = bytes.readUInt32BE(MAGIC.length);
      if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC || start + length > bytes.length)
        return refuse('no backup');
      return (plainOf(readJson(bytes.toString('utf8', start, start + length))) as { pubkey: string }).pubkey;
    },
  }),
  target('chunks of backups', [], {
    make: (random) => mutateBytes(random, [sealed]),
    run: (bytes) => openChunk(key, aad, 0, true, bytes) ?? null,
    reference: (bytes) => {
      if (openChunk(key, aad, 0, true, bytes) === undefined) return null;
      const end = bytes.length - 16;
      // The last chunk's nonce: 1, then zeros, then the index.
      const nonce = Buffer.alloc(12);
      nonce[0] = 1;
      const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
      decipher.setAAD(aad, { plaintextLength: end }).setAuthTag(bytes.subarray(end));
      return Buffer.concat([decipher.update(bytes.subarray(0, end)), decipher.final()]);
    },
  }),
  target('files of audit keys', ['bad-usage'], {
    share: 0.5,
    make: (random) => jsonOrText(random, keys),
    run: (text) => readKeys(fileOf('audit-keys.json', text), job),
    reference: (text) => auditKeys(readContent(Buffer.from(text).toString())),
  }),
];
