import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

/** The private key 1 and its public key, the generator's x coordinate (SEC 2, 2.4.1). */
const secretOne = `${'0'.repeat(63)}1`;
const publicOne = '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';

describe('nmkt whoami', () => {
  it('makes no key and no folder', async () => {
    const home = join(temporaryFolder(), 'home');
    const { status, stdout } = await runNmkt(['whoami', '--home', home]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^key +none yet$/m);
    expect(existsSync(home)).toBe(false);
  });

  it('shows the public key and where the private one came from, never the private one', async () => {
    const { stdout, stderr } = await runNmkt(['whoami', '--json'], { env: { NMKT_KEY: secretOne } });
    expect(JSON.parse(stdout)).toMatchObject({ key: { pubkey: publicOne, origin: 'NMKT_KEY' } });
    expect(stdout + stderr).not.toContain(secretOne);
  });

  it('names the origin of a key that is not one, without quoting it', async () => {
    const broken = `${secretOne.slice(0, 60)}zzzz`;
    const { status, stdout, stderr } = await runNmkt(['whoami', '--json'], { env: { NMKT_KEY: broken } });
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'bad-key' } });
    expect(stderr).toContain('NMKT_KEY');
    expect(stdout + stderr).not.toContain(broken);
  });

  it('writes no colours, spinners or control bytes when stdout and stderr are no terminal', async () => {
    const { stdout, stderr } = await runNmkt(['whoami'], { env: { FORCE_COLOR: '1' } });
    expect(stdout + stderr).not.toContain('\x1b');
  });

  it('names the next command on stderr, and says nothing there with --quiet', async () => {
    expect((await runNmkt(['whoami'])).stderr).toBe('next: nmkt sandbox --dir sb\n');
    expect((await runNmkt(['whoami', '--quiet'])).stderr).toBe('');
  });

  it('reads ./nmkt.json from the folder it runs in', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'project'));
    writeFileSync(join(folder, 'project', 'nmkt.json'), '{"relays":["wss://project.example"],"engine":"cpu"}');
    const { stdout } = await runNmkt(['whoami', '--json'], { cwd: join(folder, 'project') });
    expect(JSON.parse(stdout)).toMatchObject({
      relays: { urls: ['wss://project.example'], origin: './nmkt.json' },
      engine: { rung: 'cpu', origin: './nmkt.json' },
    });
  });

  it('ends quietly when the reader of its output left before the first byte', async () => {
    const { spawn } = await import('node:child_process');
    const { binary, isolatedEnv, finished } = await import('../support/run-nmkt.js');
    const folder = temporaryFolder();
    // The shell reports nmkt's own status, not that of `true`.
    const script = '"$1" "$2" whoami | true; exit "${PIPESTATUS[0]}"';
    const child = spawn('bash', ['-c', script, 'bash', process.execPath, binary], {
      cwd: folder,
      env: isolatedEnv(folder),
    });
    const { status, stderr } = await finished(child);
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/EPIPE|at .*\(/);
  });
});
