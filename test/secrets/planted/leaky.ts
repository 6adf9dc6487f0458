import { spawnSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { hex, sha256 } from '../../../src/hash.js';

test('passes, though what it starts prints its key', async () => {
  expect(spawnSync(process.execPath, ['--version']).status).toBe(0);
  const env = { ...process.env, NMKT_KEY: hex(sha256('a key to be printed')) };
  const child = spawn(process.execPath, ['-e', 'console.log(`key ${process.env.NMKT_KEY}`)'], { env });
  expect(await once(child, 'close')).toEqual([0, null]);
});
