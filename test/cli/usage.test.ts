import { describe, expect, it } from 'vitest';
import { runNmkt } from '../support/run-nmkt.js';

describe('a wrong command line', () => {
  it('names the command that a typo may have meant', async () => {
    const { status, stdout, stderr } = await runNmkt(['satus', 'abc']);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      [
        "error: unknown command 'satus'",
        '  expected one of the commands in nmkt --help, got satus',
        '  try:  nmkt status abc',
        '  code: bad-usage',
        '',
      ].join('\n'),
    );
  });

  it('names the option that a typo may have meant', async () => {
    const { status, stderr } = await runNmkt(['whoami', '--setings', 'x']);
    expect(status).toBe(2);
    expect(stderr).toContain("error: unknown option '--setings'");
    expect(stderr).toContain('try:  nmkt whoami --settings x\n');
    const withValue = await runNmkt(['predict', 'my model', '--limt=3']);
    expect(withValue.stderr).toContain("try:  nmkt predict 'my model' --limit=3\n");
  });

  it('names the command that begins like a word or contains it', async () => {
    for (const [word, name] of [
      ['publish', 'publish-dataset'],
      ['trainer', 'serve-trainer'],
      ['colect', 'collect-model'],
      ['chek', 'check'],
      ['predikt', 'predict'],
    ] as const)
      expect((await runNmkt([word])).stderr).toContain(`try:  nmkt ${name}\n`);
  });

  it('is wrong with --help and after help too', async () => {
    for (const words of [
      ['help', 'nosuch'],
      ['nosuch', '--help'],
    ]) {
      const { status, stdout, stderr } = await runNmkt(words);
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toContain("error: unknown command 'nosuch'");
    }
  });

  it('with --json is one document on stdout with every field of the error', async () => {
    const { status, stdout } = await runNmkt(['whoami', 'extra', '--json']);
    expect(status).toBe(2);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const { error } = JSON.parse(stdout) as { error: Record<string, string> };
    expect(Object.keys(error)).toEqual(['code', 'message', 'expected', 'got', 'remedy']);
    expect(error).toMatchObject({ code: 'bad-usage', expected: '0 arguments', got: '1' });
  });

  it('says that an option lacks its value', async () => {
    const { status, stderr } = await runNmkt(['whoami', '--relay']);
    expect(status).toBe(2);
    expect(stderr).toContain('expected a value after the option');
  });

  it('takes flags of every command before its name too', async () => {
    const { status, stdout } = await runNmkt(['--json', '--relay', 'wss://relay.example', 'whoami']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ relays: { urls: ['wss://relay.example'], origin: '--relay' } });
  });
});
