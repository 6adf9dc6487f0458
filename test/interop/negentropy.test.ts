import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { startRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { note, NOW } from '../relay/samples.js';

/** NIP-77 against a client that is not ours: nip77 of go-nostr (github.com/nbd-wtf/go-nostr). */
const library = 'github.com/nbd-wtf/go-nostr@v0.52.3';

let program: string | undefined;
let whyNot = '';

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-negentropy-'));
  copyFileSync(fileURLToPath(new URL('./negentropy/main.go', import.meta.url)), join(folder, 'main.go'));
  for (const args of [
    ['mod', 'init', 'interop'],
    ['get', library],
    ['mod', 'tidy'],
    ['build', '-o', 'sync', '.'],
  ]) {
    const { status, error, stderr } = spawnSync('go', args, { cwd: folder, encoding: 'utf8', timeout: 240_000 });
    if (status === 0) continue;
    whyNot = error?.message.includes('ENOENT')
      ? 'go is not installed'
      : `go ${args.join(' ')} failed: ${(error?.message ?? stderr).trim().split('\n').at(-1) ?? ''}`;
    return () => rmSync(folder, { recursive: true, force: true });
  }
  program = join(folder, 'sync');
  return () => rmSync(folder, { recursive: true, force: true });
});

it('go-nostr and the embedded relay reconcile to the same events, each sent what it lacked', async (context) => {
  if (program === undefined) {
    console.log(`SKIP ${context.task.name}: ${whyNot}`);
    return context.skip(whyNot);
  }
  const relay = await startRelay({ port: 0, nowSec: () => NOW });
  const pool = connectRelays([relay.url], { network: 'sandbox' });
  const events = Array.from({ length: 1_500 }, (_, i) =>
    note('alice', { content: `${i}`, created_at: NOW - (i % 400) }),
  );
  const theirs = events.filter((_, i) => i % 11 !== 0 && i > 100);
  const ours = events.filter((_, i) => i % 7 !== 0 && i < 1_450);
  await Promise.all(ours.map((event) => pool.publish(event)));

  const child = spawn(program, [relay.url], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(theirs.map((event) => `${JSON.stringify(event)}\n`).join(''));
  const ids = (await text(child.stdout)).trim().split('\n').sort();

  const union = [...new Set([...ours, ...theirs].map(({ id }) => id as string))].sort();
  expect(ids).toEqual(union);
  const { events: kept } = await pool.fetch([{ kinds: [1] }]);
  expect(kept.map(({ id }) => id as string).sort()).toEqual(union);
  await pool.close();
  await relay.close();
});
