import { readFile, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { parsePubkey } from '../config/identifiers.js';
import { isNmktError, NmktError } from '../errors.js';
import type { RelayOptions } from '../relay/embedded.js';
import type { Context } from './command.js';
import { optionalInteger } from './customer-ports.js';

/** Flags of `nmkt relay` about who may write, who may read, how much and how fast. */

const MAX_FILE_BYTES = 1 << 20;

export function addAccessFlags(program: Command): void {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];
  program
    .option('--allow <npub>', 'key that may write, others may not; may be repeated', collect)
    .option('--allow-file <file>', 'keys that may write, one a line; # begins a remark')
    .option('--private', 'only those keys may read, too')
    .option('--quota-bytes <n>', 'most bytes kept for a key')
    .option('--quota-events <n>', 'most events kept for a key')
    .option('--rate <n>', 'most messages of a connection in a second')
    .option('--max-connections <n>', 'most connections at a time; a trainer has two (default 1000)')
    .option(
      '--public-url <url>',
      'the URL that clients use when a proxy stands before this relay: logins must name it',
    );
}

export interface AccessFlags {
  readonly allow?: readonly string[];
  readonly allowFile?: string;
  readonly private?: boolean;
  readonly quotaBytes?: string;
  readonly quotaEvents?: string;
  readonly rate?: string;
  readonly maxConnections?: string;
  readonly publicUrl?: string;
}

/** @throws NmktError `bad-usage`, `bad-key`, `bad-settings` */
export async function accessFromFlags(
  flags: AccessFlags,
): Promise<Pick<RelayOptions, 'access' | 'limits' | 'publicUrl' | 'maxConnections'>> {
  const { allow, allowFile, publicUrl } = flags;
  const isListed = allow !== undefined || allowFile !== undefined;
  if (flags.private && !isListed)
    throw new NmktError('bad-usage', '--private needs a list of keys', {
      remedy: 'nmkt relay --private --allow NPUB',
      expected: '--allow or --allow-file',
      got: '--private alone',
    });
  const named = (allow ?? []).map(parsePubkey);
  const filed = allowFile === undefined ? [] : await keysOf(allowFile);
  const rate = optionalInteger(flags.rate, '--rate', 1, 1_000_000);
  const maxConnections = optionalInteger(flags.maxConnections, '--max-connections', 1, 1_000_000);
  return {
    access: {
      allowed: isListed ? new Set([...named, ...filed]) : undefined,
      isPrivate: flags.private === true,
      quota: {
        bytes: optionalInteger(flags.quotaBytes, '--quota-bytes', 1, 2 ** 50) ?? Infinity,
        events: optionalInteger(flags.quotaEvents, '--quota-events', 1, 2 ** 40) ?? Infinity,
      },
    },
    ...(rate !== undefined && { limits: { maxMessagesPerSec: rate } }),
    ...(maxConnections !== undefined && { maxConnections }),
    ...(publicUrl !== undefined && { publicUrl: checkedUrl(publicUrl) }),
  };
}

/** Whoever edits --allow-file tells the relay with SIGHUP, which needs no new start. @returns how to stop listening */
export function rereadOnHangUp(
  { allow, allowFile }: AccessFlags,
  allowed: ReadonlySet<string> | undefined,
  { emit, progress }: Pick<Context, 'emit' | 'progress'>,
): () => void {
  if (allowFile === undefined || allowed === undefined) return () => undefined;
  const keys = allowed as Set<string>;
  const reread = async (): Promise<void> => {
    try {
      const found = await keysOf(allowFile);
      keys.clear();
      for (const key of [...(allow ?? []).map(parsePubkey), ...found]) keys.add(key);
      emit({ event: 'allowed', keys: keys.size }, `${keys.size} keys may write`);
    } catch (error) {
      if (!isNmktError(error)) throw error;
      progress.warn(`${error.message}: expected ${error.expected}; the keys of before stay`);
    }
  };
  const onSignal = (): void => void reread();
  process.on('SIGHUP', onSignal);
  return () => process.off('SIGHUP', onSignal);
}

async function keysOf(file: string): Promise<string[]> {
  const fail = (expected: string, got: string, cause?: unknown) =>
    new NmktError('bad-settings', `the keys of --allow-file ${file} cannot be read`, {
      remedy: `correct ${file}`,
      ...{ expected, got, cause },
    });
  const lines = await stat(file)
    .then(({ size }) => {
      if (size > MAX_FILE_BYTES) throw fail(`at most ${MAX_FILE_BYTES} bytes`, `${size}`);
      return readFile(file, 'utf8');
    })
    .catch((error: NodeJS.ErrnoException) => {
      throw isNmktError(error) ? error : fail('a file with one key a line', error.code ?? error.message, error);
    });
  return lines.split('\n').flatMap((line, index) => {
    const text = line.replace(/#.*/, '').trim();
    if (text === '') return [];
    try {
      return [parsePubkey(text)];
    } catch (error) {
      if (!isNmktError(error)) throw error;
      throw fail(`npub1… or 64 hex characters in line ${index + 1}`, error.got ?? '', error);
    }
  });
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'wss:' || url?.protocol === 'ws:') return url.href;
  throw new NmktError('bad-usage', '--public-url is no URL of a relay', {
    remedy: 'nmkt relay --public-url wss://relay.example',
    expected: 'wss://… or ws://…',
    got: text.slice(0, 60),
  });
}
