import { hex, sha256Hex, type Bytes, type Pubkey } from '../hash.js';
import type { RandomBytes } from '../ports.js';
import { isValidSecret } from '../schnorr.js';
import type { Home } from './home.js';
import type { BunkerAddress } from './key-text.js';

/** What a home remembers of a bunker, so that its owner approves this client once. */
export interface BunkerSession {
  /** The client key: a secret, 32 bytes in hex. */
  readonly client: string;
  /** Whose key the bunker holds; null until it has let us in. */
  readonly pubkey: Pubkey | null;
  /** Which invitation was accepted; another one means to connect again. */
  readonly invitation: string | null;
}

const fileOf = ({ pubkey }: BunkerAddress) => `bunkers/${pubkey}.json`;

export function invitationOf({ secret }: BunkerAddress): string {
  return sha256Hex(`nmkt/bunker/${secret ?? ''}`).slice(0, 16);
}

/** @returns null when this home never met that bunker, or its file holds something else */
export async function readSession(home: Home, address: BunkerAddress): Promise<BunkerSession | null> {
  const kept = (await home.readJson(fileOf(address))) as Partial<BunkerSession> | undefined | null;
  if (kept == null || !isHex64(kept.client)) return null;
  const { client, pubkey, invitation } = kept;
  return {
    client,
    pubkey: isHex64(pubkey) ? pubkey : null,
    invitation: typeof invitation === 'string' ? invitation : null,
  };
}

/** The client key is on disk before the bunker hears of it: after a crash the approval still holds. */
export async function beginSession(home: Home, address: BunkerAddress, random: RandomBytes): Promise<BunkerSession> {
  const known = await readSession(home, address);
  if (known !== null) return known;
  let client: Bytes = random(32);
  while (!isValidSecret(client)) client = random(32);
  const session = { client: hex(client), pubkey: null, invitation: null };
  await keepSession(home, address, session);
  return session;
}

export async function keepSession(home: Home, address: BunkerAddress, session: BunkerSession): Promise<void> {
  await home.writeFile(fileOf(address), `${JSON.stringify(session)}\n`);
}

/** Has the owner let this client in, by this invitation? An address without one relies on an earlier one. */
export function isConnected(session: BunkerSession | null, address: BunkerAddress): boolean {
  return (
    session !== null &&
    session.pubkey !== null &&
    (address.secret === null || session.invitation === invitationOf(address))
  );
}

function isHex64(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
