import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
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

  it('shows an encrypted key and a bunker for what they are, asks nobody, and prints no secret of them', async () => {
    const folder = temporaryFolder();
    const ncryptsec =
      'ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p';
    const npub = 'npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg';
    writeFileSync(join(folder, 'key'), `# ${npub}\n${ncryptsec}\n`, { mode: 0o600 });
    const encrypted = await runNmkt(['whoami', '--json', '--key-file', 'key'], { cwd: folder });
    expect(JSON.parse(encrypted.stdout)).toMatchObject({
      key: { form: 'encrypted', npub, origin: '--key-file', bunker: null },
    });
    const bunker = `bunker://${publicOne}?relay=ws://127.0.0.1:1&secret=a-short-one`;
    for (const words of [['whoami'], ['whoami', '--json'], ['doctor', '--json', '--relay', 'ws://127.0.0.1:1']]) {
      const { stdout, stderr } = await runNmkt(words, { cwd: folder, env: { NMKT_KEY: bunker } });
      expect(stdout).toMatch(new RegExp(publicOne));
      expect(stdout).toMatch(/not connected yet|"isConnected":false/);
      expect(stdout).toContain('ws://127.0.0.1:1');
      expect(stdout + stderr).not.toContain('a-short-one');
    }
    expect(encrypted.stdout + encrypted.stderr).not.toContain(ncryptsec);
    expect(readdirSync(folder)).toEqual(['key']);
  });

  it('writes no colours, spinners or control bytes when stdout and stderr are no terminal', async () => {
    const { stdout, stderr } = await runNmkt(['whoami'], { env: { FORCE_COLOR: '1' } });
    expect(stdout + stderr).not.toContain('\x1b');
  });

  it('names the next command on stderr, and says nothing there with --quiet', async () => {
    expect((await runNmkt(['whoami'])).stderr).toBe('next: nmkt init, or a private market: nmkt sandbox --dir sb\n');
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
      caps: { daySats: null, paymentSats: null },
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
