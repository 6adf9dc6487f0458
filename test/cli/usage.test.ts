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
        '  try:  nmkt status',
        '  code: bad-usage',
        '',
      ].join('\n'),
    );
  });

  it('names the option that a typo may have meant', async () => {
    const { status, stderr } = await runNmkt(['whoami', '--setings', 'x']);
    expect(status).toBe(2);
    expect(stderr).toContain("error: unknown option '--setings'");
    expect(stderr).toContain('try:  nmkt whoami --settings');
  });

  it('with --json is one document on stdout with every field of the error', async () => {
    const { status, stdout } = await runNmkt(['whoami', 'extra', '--json']);
    expect(status).toBe(2);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const { error } = JSON.parse(stdout) as { error: Record<string, string> };
    expect(Object.keys(error)).toEqual(['code', 'message', 'expected', 'got', 'remedy']);
    expect(error['code']).toBe('bad-usage');
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
