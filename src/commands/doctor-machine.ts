import { access, constants, readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatPubkey } from '../config/identifiers.js';
import { isNmktError } from '../errors.js';
import type { MaskingReport } from '../relay/masking.js';
import type { ProviderReport } from '../secp/provider.js';
import type { RungReport } from '../training/engine.js';
import type { Context } from './command.js';
import { describeForm } from './describe-key.js';
import { fail, ok, warn, type Check } from './doctor-check.js';

/** Checks of this machine: Node, the home and its disk, the key, the engines. */

/** As the package demands it. */
export const MIN_NODE: readonly [major: number, minor: number] = [20, 19];
const [MIN_FREE_BYTES, LOW_FREE_BYTES] = [100 * 2 ** 20, 2 ** 30];

export function judgeNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const wanted = MIN_NODE.join('.');
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return ok('node', version);
  return fail('node', `${version}, at least ${wanted} is needed`, `install Node.js ${wanted} or newer`);
}

/** The key's kind, and whether its bunker answers. Neither asks for a password nor connects for the first time. */
export async function checkKey({ deps }: Context): Promise<Check> {
  try {
    const report = await deps.keyReport();
    if (report === undefined) return ok('key', 'none yet: the first command that signs makes one in the home');
    const npub = report.pubkey === null ? 'not known yet' : formatPubkey(report.pubkey);
    const detail = [npub, ...describeForm(report)].join(', ');
    if (report.bunker !== null && !report.bunker.isConnected) return warn('key', detail, 'connect once: nmkt init');
    const startMs = deps.clock.nowMs();
    await deps.checkBunker();
    return ok('key', report.bunker === null ? detail : `${detail}, answers in ${deps.clock.nowMs() - startMs} ms`);
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return fail('key', `${error.message}${error.got === undefined ? '' : ` (${error.got})`}`, error.remedy);
  }
}

/** The home, what lies in it, and the disk below. Makes no folder. */
export async function checkHome({ deps }: Context): Promise<readonly Check[]> {
  const home = deps.home();
  const place = await existing(home.dir);
  const disk = judgeDisk(await freeBytes(place), place);
  const name = 'home';
  if (!(await isWritable(place)))
    return [fail(name, `${place} cannot be written`, 'name another folder with --home DIR'), disk];
  if (place !== home.dir) return [ok(name, `${home.dir}, not made yet`), disk];
  const open = await openToOthers(home.dir);
  if (open.length > 0) return [fail(name, `others can read ${open.join(', ')}`, `chmod -R go-rwx ${home.dir}`), disk];
  try {
    await home.lock();
    await home.unlock();
    return [ok(name, `${home.dir}, no other process uses it`), disk];
  } catch (error) {
    if (!isNmktError(error, 'home-locked')) throw error;
    return [ok(name, `${home.dir}, in use by ${error.got ?? 'another process'}`), disk];
  }
}

/** The folder itself, else the nearest one above that is there. */
async function existing(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch {
    const above = dirname(path);
    return above === path ? path : existing(above);
  }
}

async function isWritable(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isDirectory()) return false;
    await access(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Names of the home, and of files directly in it, that group or others may open. Windows has no such bits. */
async function openToOthers(dir: string): Promise<string[]> {
  if (process.platform === 'win32') return [];
  const isOpen = async (path: string) => ((await stat(path)).mode & 0o077) !== 0;
  const names = (await readdir(dir, { withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);
  const found: string[] = [];
  for (const name of names.sort()) if (await isOpen(join(dir, name)).catch(() => false)) found.push(name);
  return found;
}

async function freeBytes(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return null;
  }
}

export function judgeDisk(free: number | null, path: string): Check {
  if (free === null) return warn('disk', `free space of ${path} is not known`, 'look for at least 1 GiB yourself');
  const detail = `${(free / 2 ** 30).toFixed(1)} GiB free`;
  if (free < MIN_FREE_BYTES) return fail('disk', detail, 'free some space, or name another --home');
  return free < LOW_FREE_BYTES
    ? warn('disk', detail, 'free some space: datasets and models need it')
    : ok('disk', detail);
}

export function judgeMasking({ isNative, reason }: MaskingReport): Check {
  return ok('websockets', isNative ? 'masked natively (bufferutil)' : `masked in JavaScript, slower: ${reason}`);
}

/** Which implementation signs and checks events, and why no faster one. @param reports fastest first @param used by name */
export function judgeSignatures(reports: readonly ProviderReport[], used: ProviderReport['provider']): Check {
  const native = reports.find(({ provider }) => provider === 'native');
  const why =
    used === 'native' || native === undefined || native.isUsable ? '' : `; native is not here: ${native.reason}`;
  const check = used === 'noble' ? warn : ok;
  return check(
    'signatures',
    `${used}${why}`,
    'unset NMKT_SCHNORR, or use a Node.js with WebAssembly: a hundred times slower so',
  );
}

/**
 * One line per engine. Missing ones are a matter of speed, as long as one is there and it is the wanted one.
 * @param want  as the settings name it
 */
export function judgeEngines(reports: readonly RungReport[], want: string): readonly Check[] {
  const isNoneFit = !reports.some((report) => report.ok);
  return reports.map(({ rung, ok: isFit, reason, install, isSlow, id, coldMs, examplesPerSec }) => {
    const name = `engine ${rung}`;
    const start = coldMs === undefined ? '' : `, starts in ${Math.round(coldMs)} ms`;
    const speed = examplesPerSec === undefined ? '' : `, trains ${examplesPerSec} small examples/s`;
    if (isFit)
      return ok(
        name,
        `${id ?? rung}${start}${speed}${isSlow === true ? `, ${reason}: only with --engine ${rung}` : ''}`,
      );
    if (want === rung) return fail(name, reason, `--engine auto, or ${install ?? 'repair it: npm ci'}`);
    if (isNoneFit) return fail(name, reason, 'install again: npm ci');
    const remedy = 'nothing has to be done: another engine is there';
    return warn(name, `not here: ${reason}`, install === undefined ? remedy : `${remedy}; to have it: ${install}`);
  });
}
