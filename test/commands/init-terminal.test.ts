import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { binary, isolatedEnv, temporaryFolder } from '../support/run-nmkt.js';

/** The real wizard on a real terminal, which `script` of util-linux lends. Without it the tests in init.test.ts remain. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;
if (!hasScript) process.stderr.write('SKIP nmkt init on a real terminal: `script` of util-linux is not installed\n');

type Step = readonly [question: string, keys: string];

/** Types each answer when its question is on the screen. */
async function onTerminal(args: readonly string[], steps: readonly Step[]) {
  const cwd = temporaryFolder();
  const home = join(cwd, 'h');
  const line = [process.execPath, binary, ...args, '--home', home].map((word) => `'${word}'`).join(' ');
  const env = { ...isolatedEnv(cwd), TERM: 'xterm', COLUMNS: '60' };
  const child = spawn('script', ['-qec', `stty cols 60 rows 24; ${line}`, '/dev/null'], { cwd, env });
  let screen = '';
  let fresh = '';
  const left = [...steps];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    fresh += text;
    const [question, keys] = left[0] ?? [];
    if (question === undefined || !fresh.includes(question)) return;
    left.shift();
    fresh = '';
    child.stdin.write(keys!);
  });
  child.stdin.on('error', () => undefined);
  const status = await new Promise<number | null>((done) => child.once('close', done));
  expect(left).toEqual([]);
  return { home, status, screen };
}

const ENTER = '\r';
const DOWN = '\x1b[B';
const CTRL_C = '\x03';
const nsec = 'nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5';

it.skipIf(!hasScript)('sets up a home by the answers typed on a terminal, and shows no secret', async () => {
  const { home, status, screen } = await onTerminal(
    ['init'],
    [
      ['What will you do', DOWN + ENTER],
      ['Which key?', DOWN + ENTER],
      ['Key:', nsec + ENTER],
      ['password?', ENTER],
      ['Which money?', ENTER],
      ['Relays', `ws://127.0.0.1:1${ENTER}`],
      ['Which wallet?', ENTER],
      ['What trains?', DOWN.repeat(3) + ENTER],
    ],
  );
  expect([status, screen]).toEqual([0, expect.stringContaining('serve-trainer --price 100')]);
  expect(readFileSync(join(home, 'key'), 'utf8')).toBe(`${nsec}\n`);
  expect(JSON.parse(readFileSync(join(home, 'settings.json'), 'utf8'))).toEqual({
    ...{ relays: ['ws://127.0.0.1:1'], network: 'sandbox', engine: 'wasm' },
  });
  expect(screen).not.toContain('nsec1');
});

it.skipIf(!hasScript)('Ctrl-C in a question ends with 130 and leaves nothing behind', async () => {
  const { home, status, screen } = await onTerminal(
    ['init'],
    [
      ['What will you do', ENTER],
      ['Which key?', ENTER],
      ['password?', ENTER],
      ['Which money?', CTRL_C],
    ],
  );
  expect([status, screen]).toEqual([130, expect.stringContaining('code: interrupted')]);
  expect(existsSync(home) ? readdirSync(home) : []).toEqual([]);
});
