import type { Home } from '../config/home.js';
import { formatPubkey, formatSecretKey } from '../config/identifiers.js';
import { formatBunker, parseKeyText } from '../config/key-text.js';
import { NmktError } from '../errors.js';
import type { Bytes, Pubkey } from '../hash.js';
import type { RandomBytes } from '../ports.js';
import { isValidSecret } from '../schnorr.js';
import { askPassword, requireLongEnough } from './backup-password.js';
import type { Context } from './command.js';

/** The key of a home: what is written for it, and when one may take the place of another. */

/** A key that was chosen: its text and where it came from; no text is a new key. */
export interface ChosenKey {
  readonly text: string | null;
  readonly origin: string;
  /** Keep it under a password. */
  readonly isEncrypted: boolean;
}

/** What the home's key file will hold, and whose key that is as far as it is known. */
export interface KeyFile {
  readonly content: string;
  readonly pubkey: Pubkey | null;
}

/**
 * Opens the chosen key where that is possible, connects to its bunker, encrypts it if that is wanted.
 * @throws NmktError `bad-key`, `wrong-password`, `bad-usage`, `bunker-unreachable`, `bunker-refused`
 */
export async function keyFileFor(context: Context, key: ChosenKey): Promise<KeyFile> {
  const { deps } = context;
  const { isEncrypted } = key;
  if (key.text === null) return plainFile(context, freshSecret(deps.random), isEncrypted);
  const parsed = parseKeyText(key.text, key.origin);
  if (parsed.form === 'plain') return plainFile(context, parsed.secret, isEncrypted);
  if (isEncrypted && parsed.form === 'bunker')
    throw new NmktError('bad-usage', '--encrypt is for a key on this machine', {
      expected: 'an nsec or hex key',
      got: 'the address of a bunker',
      remedy: 'leave out --encrypt',
    });
  const mayAsk = context.prompt.canAsk || (await deps.keyPassword()) !== undefined;
  const signer = await deps
    .identityOf({ value: key.text, origin: key.origin })
    .open({ connect: true, ask: mayAsk && parsed.form === 'encrypted' });
  if (parsed.form === 'bunker') return { content: `${formatBunker(parsed)}\n`, pubkey: signer!.pubkey };
  return encryptedFile(parsed.ncryptsec, signer?.pubkey ?? parsed.pubkey);
}

function freshSecret(random: RandomBytes): Bytes {
  for (;;) {
    const secret = random(32);
    if (isValidSecret(secret)) return secret;
  }
}

async function plainFile(context: Context, secret: Bytes, isEncrypted: boolean): Promise<KeyFile> {
  const { pubkey } = await context.deps.signerFor(secret);
  if (!isEncrypted) return { content: `${formatSecretKey(secret)}\n`, pubkey };
  const given = await context.deps.keyPassword();
  const password = given ?? (await askPassword(context.prompt, 'key', true));
  requireLongEnough(password);
  return encryptedFile(await context.deps.encryptKey(secret, password), pubkey);
}

/** The comment lets `whoami` name the key without its password. */
function encryptedFile(ncryptsec: string, pubkey: Pubkey | null): KeyFile {
  return { content: `${pubkey === null ? '' : `# ${formatPubkey(pubkey)}\n`}${ncryptsec}\n`, pubkey };
}

/** Whose key the home has, if that can be told without asking anybody. */
export async function pubkeyOf({ deps }: Context, text: string): Promise<Pubkey | null> {
  return (await deps.identityOf({ value: text, origin: 'the home' }).report()).pubkey;
}

/**
 * May the home's key give way to another one? With --replace-key, or when the person types so.
 * @throws NmktError `bad-usage` naming --replace-key
 */
export async function requireReplaceable(context: Context, now: Pubkey | null, isAllowed: boolean): Promise<void> {
  if (isAllowed) return;
  const whose = now === null ? 'a key' : formatPubkey(now);
  if (context.prompt.canAsk) {
    context.progress.warn(`this home has ${whose}; its jobs and money belong to that key`);
    if ((await context.prompt.text('Type replace to put the new key in its place:')) === 'replace') return;
  }
  throw new NmktError('bad-usage', 'this home has another key already', {
    expected: 'a home without a key, the same key, or --replace-key',
    got: whose,
    remedy: 'give the other key a home of its own with --home DIR, or add --replace-key',
  });
}

/** The former key stays in the home, under its own name: a key that is gone is money and a name that are gone. */
export async function keepFormerKey(home: Home, text: string, pubkey: Pubkey | null, nowSec: number): Promise<string> {
  const name = `old-keys/${pubkey === null ? nowSec : formatPubkey(pubkey)}.key`;
  await home.writeFile(name, `${text.trim()}\n`);
  return home.path(name);
}
