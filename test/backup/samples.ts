import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backUpHome, restoreHome, type BackedUp, type Restored } from '../../src/backup/home-backup.js';
import { openBackup } from '../../src/backup/read.js';
import { openHome } from '../../src/config/home.js';
import { formatSecretKey } from '../../src/config/identifiers.js';
import type { Settings } from '../../src/config/settings.js';
import { sha256 } from '../../src/hash.js';
import type { Signer } from '../../src/ports.js';
import { localSigner } from '../../src/signer.js';
import { namedRandom } from '../support/market-world.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { keepSecret } from '../support/secrets/outputs.js';

/** Homes of one participant for tests of backups. */

export const SECRET = keepSecret(sha256('backup owner'));
export const owner: Signer = localSigner(SECRET);
export const JOB = 'ab'.repeat(32);
export const never: AbortSignal = new AbortController().signal;

/** What a home may hold, by name. */
export const contents = (): Record<string, string | Uint8Array> => ({
  'payouts.jsonl': '{"type":"planned"}\n',
  [`jobs/${JOB}/job.json`]: '{"seed":"s"}',
  [`jobs/${JOB}/events.jsonl`]: '{"event":1}\n{"event":2}\n',
  [`jobs/${JOB}/update-${'cd'.repeat(32)}.bin`]: namedRandom('update')(200_000),
  [`datasets/${'ef'.repeat(32)}.chunks`]: '',
});

export function makeHome(files: Record<string, string | Uint8Array> = contents()): string {
  const dir = join(temporaryFolder(), 'home');
  for (const [name, data] of Object.entries(files)) put(dir, name, data);
  return dir;
}

export function put(dir: string, name: string, data: string | Uint8Array): void {
  mkdirSync(dirname(join(dir, name)), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, name), data, { mode: 0o600 });
}

const none = { value: [], origin: 'default' };
export const settings: Settings = {
  relays: { value: ['wss://relay.example'], origin: '--relay' },
  wallet: undefined,
  network: { value: 'sandbox', origin: 'default' },
  key: { value: formatSecretKey(SECRET), origin: '--key-file' },
  maxDaySats: undefined,
  maxPaymentSats: undefined,
  engine: { value: 'auto', origin: none.origin },
};

export async function backUp(
  dir: string,
  path: string,
  options: { readonly password?: string; readonly hasKey?: boolean; readonly isForced?: boolean } = {},
): Promise<BackedUp> {
  return backUpHome(path, {
    home: openHome(dir),
    settings,
    signer: owner,
    ...{ password: options.password, hasKey: options.hasKey ?? true, isForced: options.isForced ?? false },
    ...{ createdAt: 1_800_000_000, random: namedRandom(`backup ${path}`), signal: never },
  });
}

export async function restore(
  path: string,
  dir: string,
  how: { readonly signer?: Signer; readonly password?: string; readonly isForced?: boolean } = {},
): Promise<Restored> {
  const backup = await openBackup(path);
  try {
    const key =
      how.password === undefined
        ? await backup.unlockWithKey(how.signer ?? owner)
        : await backup.unlockWithPassword(how.password);
    const home = openHome(dir);
    await home.ensure();
    return await restoreHome(backup, key, {
      home,
      isForced: how.isForced ?? false,
      ...{ nowSec: 1_800_000_100, signal: never },
    });
  } finally {
    await backup.close();
  }
}
