import { NmktError } from '../errors.js';
import { fromHex, type Bytes, type Pubkey } from '../hash.js';
import type { Prompt, RandomBytes, Signer } from '../ports.js';
import {
  beginSession,
  invitationOf,
  isConnected,
  keepSession,
  readSession,
  type BunkerSession,
} from './bunker-session.js';
import { openEncryptedKey } from './encrypted-key.js';
import type { Home } from './home.js';
import { parseKeyText, type BunkerAddress, type KeyText } from './key-text.js';
import type { Sourced } from './settings.js';

/** What can be said of a key without a password and without asking anybody. */
export interface KeyReport {
  readonly form: KeyText['form'];
  readonly origin: string;
  /** Null when only the password or the bunker can tell. */
  readonly pubkey: Pubkey | null;
  readonly bunker: {
    readonly pubkey: Pubkey;
    readonly relays: readonly string[];
    readonly isConnected: boolean;
  } | null;
}

/** A remote signer, as the composition root makes it. */
export interface BunkerPort {
  connect(secret: string | null): Promise<void>;
  userPubkey(): Promise<Pubkey>;
  ping(): Promise<void>;
  signerFor(pubkey: Pubkey): Signer;
}

export interface IdentityPorts {
  readonly home: Home;
  readonly random: RandomBytes;
  readonly prompt: Prompt;
  /** From NMKT_KEY_PASSWORD or --key-password-file. */
  readonly password: () => Promise<string | undefined>;
  readonly localSigner: (secret: Bytes) => Promise<Signer>;
  readonly openBunker: (address: BunkerAddress, client: Bytes) => Promise<BunkerPort>;
  readonly keepSecret: (text: string) => void;
}

/** How much may be done to get at a key. */
export interface OpenOptions {
  /** Connect to a bunker that does not know this home yet. */
  readonly connect: boolean;
  /** Ask the person for the password. */
  readonly ask: boolean;
}

/** The participant's key from its text, opened at most once. */
export interface Identity {
  report(): Promise<KeyReport>;
  /** @returns undefined when the options do not allow what it takes @throws NmktError `bad-key`, `wrong-password`, `bad-usage`, `bunker-…` */
  open(options: OpenOptions): Promise<Signer | undefined>;
  /** Asks the bunker whether it is there; nothing for a key of this machine. */
  checkBunker(): Promise<void>;
}

const PASSWORD_ATTEMPTS = 3;

export function createIdentity(key: Sourced<string>, ports: IdentityPorts): Identity {
  const { home, random, keepSecret } = ports;
  const { origin } = key;
  const parsed = (): KeyText => parseKeyText(key.value, origin);
  let opened: Signer | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let bunker: Promise<BunkerPort> | undefined;

  const portOf = (address: BunkerAddress, session: BunkerSession): Promise<BunkerPort> => {
    keepSecret(session.client);
    return (bunker ??= ports.openBunker(address, fromHex(session.client)));
  };
  const remembered = async (address: BunkerAddress, { pubkey, ...session }: BunkerSession): Promise<Signer> =>
    (await portOf(address, { pubkey, ...session })).signerFor(pubkey!);

  const connect = async (address: BunkerAddress): Promise<Signer> => {
    if (address.secret !== null) keepSecret(address.secret);
    const session = await beginSession(home, address, random);
    const port = await portOf(address, session);
    await port.connect(address.secret);
    const pubkey = await port.userPubkey();
    await keepSession(home, address, { ...session, pubkey, invitation: invitationOf(address) });
    return port.signerFor(pubkey);
  };

  const decrypted = async (ncryptsec: string, known: string | undefined): Promise<Signer> => {
    if (known !== undefined) keepSecret(known);
    if (known !== undefined) return ports.localSigner(await openEncryptedKey(ncryptsec, known, origin));
    if (!ports.prompt.canAsk) throw passwordMissing(origin);
    for (let attempt = 1; ; attempt++) {
      const typed = await ports.prompt.secret(
        attempt === 1 ? `password of the key (${origin})` : 'that does not open it; once more:',
      );
      try {
        return await ports.localSigner(await openEncryptedKey(ncryptsec, typed, origin));
      } catch (error) {
        if (!(error instanceof NmktError) || error.code !== 'wrong-password' || attempt === PASSWORD_ATTEMPTS)
          throw error;
      }
    }
  };

  const begin = async (options: OpenOptions): Promise<Signer | undefined> => {
    const text = parsed();
    if (text.form === 'plain') return ports.localSigner(text.secret);
    if (text.form === 'encrypted') {
      const password = await ports.password();
      return password !== undefined || options.ask ? decrypted(text.ncryptsec, password) : undefined;
    }
    const session = await readSession(home, text);
    if (isConnected(session, text)) return remembered(text, session!);
    return options.connect ? connect(text) : undefined;
  };

  return {
    async report() {
      const text = parsed();
      if (text.form !== 'bunker') {
        const own =
          text.form === 'plain' ? (await ports.localSigner(text.secret)).pubkey : (opened?.pubkey ?? text.pubkey);
        return { form: text.form, origin, pubkey: own, bunker: null };
      }
      const session = await readSession(home, text);
      const { pubkey, relays } = text;
      const about = { pubkey, relays, isConnected: isConnected(session, text) };
      return { form: 'bunker', origin, pubkey: about.isConnected ? session!.pubkey : null, bunker: about };
    },
    // One after the other, so that nobody is asked for a password twice.
    open: (options) => {
      const next = turn.then(async () => (opened ??= await begin(options)));
      turn = next.catch(() => undefined);
      return next;
    },
    async checkBunker() {
      const text = parsed();
      if (text.form !== 'bunker') return;
      const session = await readSession(home, text);
      if (isConnected(session, text)) await (await portOf(text, session!)).ping();
    },
  };
}

function passwordMissing(origin: string): NmktError {
  return new NmktError('bad-usage', `the key is encrypted and no password is given (${origin})`, {
    expected: 'a password from --key-password-file FILE, NMKT_KEY_PASSWORD or a terminal',
    got: 'none, and no terminal to ask on',
    remedy: 'add --key-password-file FILE (mode 0600), or set NMKT_KEY_PASSWORD',
  });
}
