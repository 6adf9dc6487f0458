import { hex } from '../hash.js';
import type { RandomBytes } from '../ports.js';
import { isValidSecret } from '../schnorr.js';
import type { Home } from './home.js';
import { formatSecretKey } from './identifiers.js';

/**
 * Makes the participant's key in home/key (nsec, mode 0600), never over one that is there: of two processes that both
 * found none, one makes it and both use it.
 *
 * @returns the key's text as it stands in the file
 */
export async function createKey(home: Home, random: RandomBytes): Promise<string> {
  let secret = random(32);
  while (!isValidSecret(secret)) secret = random(32);
  const temporary = `key.${process.pid}.${hex(random(6))}`;
  await home.writeFile(temporary, `${formatSecretKey(secret)}\n`);
  // Durable before the key signs anything: money and jobs hang on it.
  await home.linkFile(temporary, 'key').finally(() => home.removeFile(temporary));
  return Buffer.from((await home.readFile('key'))!)
    .toString('utf8')
    .trim();
}
