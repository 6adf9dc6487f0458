import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandProgram } from '../../src/cli.js';
import { commands } from '../../src/commands/index.js';
import { ERRORS } from '../../src/errors.js';
import { line, type LineOptions } from '../support/run-line.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { rows, sharedWrong, type CommandRows, type Ending } from './command-rows.js';

/** Every command as somebody new would try it. A new command or option fails here until it has a row. */

const REFUSING = ['--relay', 'ws://127.0.0.1:1'];
const server = createServer();
let taken = '';
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  taken = String((server.address() as AddressInfo).port);
});
afterAll(() => void server.close());

const names = commands.map(({ name }) => name);
const programs = new Map<string, Command>();
beforeAll(async () => {
  for (const entry of commands) programs.set(entry.name, (await commandProgram(entry)).command);
});
const valued = (name: string): string[] =>
  programs.get(name)!.options.flatMap(({ long, required }) => (required ? [long!] : []));
const rowsOf = (name: string): CommandRows => rows[name]!;
const callOf = (words: readonly string[]) => words.map((word) => (word === 'TAKEN' ? taken : word));

function folder(): string {
  const cwd = temporaryFolder();
  copyFileSync(resolve('examples/iris.csv'), join(cwd, 'iris.csv'));
  writeFileSync(join(cwd, 'job.json'), '{"rounds":1}');
  writeFileSync(join(cwd, 'file'), '');
  mkdirSync(join(cwd, 'folder'));
  return cwd;
}

/** Status, code and remedy; with --json one document on stdout, with every field; the same on stderr for people. */
async function ends(argv: readonly string[], ending: Ending, options: Partial<LineOptions> = {}): Promise<void> {
  const words = callOf(argv);
  const { status, stdout, stderr } = await line([...words, '--json'], { cwd: folder(), ...options });
  const lines = stdout.split('\n').filter((text) => text !== '');
  const last = lines.length === 0 ? {} : (JSON.parse(lines.at(-1)!) as { error?: Record<string, string> });
  const about = `nmkt ${words.join(' ')}\n${stdout}${stderr}`;
  if (ending === 'done') {
    expect([status, last.error], about).toEqual([words[0] === 'doctor' ? 3 : 0, undefined]);
    return;
  }
  const [code, remedy] = ending;
  expect([last.error?.['code'], status], about).toEqual([code, ERRORS[code].exit]);
  for (const field of ['message', 'expected', 'got', 'remedy']) expect(last.error?.[field], about).toMatch(/\S/);
  if (typeof remedy === 'string') expect(last.error?.['remedy'], about).toBe(remedy);
  else expect(last.error?.['remedy'], about).toMatch(remedy);
  expect(stderr, about).toContain(`code: ${code}`);
  expect(stderr, about).not.toMatch(/^ +at |internal-error|undefined|\[object/m);
  await expectTypable(last.error!['remedy']!);
  // A stream prints its events first; every other command says one thing.
  if (words[0]?.startsWith('serve-') !== true) expect(lines, about).toHaveLength(1);
}

/** A call that a remedy names has a command that is there, with options that it has. */
async function expectTypable(remedy: string): Promise<void> {
  for (const [, name, rest = ''] of remedy.matchAll(/\bnmkt ([a-z][a-z-]+)((?: [^\s,;:]+)*)/g)) {
    const program = programs.get(name!);
    expect(program, remedy).toBeDefined();
    for (const [flag] of rest.matchAll(/--[a-z-]+/g))
      expect(['--help', ...program!.options.map(({ long }) => long)], remedy).toContain(flag);
  }
}

it('every command has rows, and every option that takes a value has one among them', () => {
  expect(Object.keys(rows).sort()).toEqual([...names].sort());
  for (const name of names)
    expect(Object.keys({ ...sharedWrong, ...rowsOf(name).wrong }).sort(), name).toEqual(
      [...new Set([...valued(name), ...Object.keys(sharedWrong)])].sort(),
    );
  expect(names.filter((name) => !Object.keys(sharedWrong).every((flag) => valued(name).includes(flag)))).toEqual([]);
});

describe.each(names)('nmkt %s', (name) => {
  const { call, bare, offline, unset, wrong, wrongCall = call, asks, env } = rowsOf(name) ?? { call: [], wrong: {} };
  const options = env === undefined ? {} : { env };

  if (bare !== 'serves') it('without anything', () => ends([name], bare, options));

  it('with a relay that refuses connections', () =>
    ends([name, ...call, ...REFUSING, '--home', 'h'], offline, options));

  if (asks !== undefined)
    it('with a flag that asks, and nobody to answer', () => {
      const [words, code, remedy] = asks;
      return ends([name, ...call, ...REFUSING, ...words], [code, remedy], options);
    });

  it('without a relay', () => ends([name, ...call], unset, options));

  it('with an option that is none, one word too many, or no value after an option', async () => {
    const help = `nmkt ${name} --help`;
    await ends([name, ...call, '--nosuch-zq'], ['bad-usage', help]);
    await ends([name, ...call, ...Array<string>(4).fill('surplus')], ['bad-usage', help]);
    for (const flag of valued(name)) {
      const failed = await line(callOf([name, '--json', ...call, flag]), { cwd: folder() });
      expect([failed.status, JSON.parse(failed.stdout)], flag).toMatchObject([
        2,
        { error: { code: 'bad-usage', expected: 'a value after the option', remedy: help } },
      ]);
    }
  });

  it('with a value of the wrong kind after each option', async () => {
    for (const [flag, row] of Object.entries({ ...sharedWrong, ...wrong })) {
      if (row === 'free') continue;
      const [value, code, remedy] = row;
      const where = flag === '--relay' ? [] : REFUSING;
      await ends([name, ...wrongCall, ...where, flag, value], [code, remedy], options);
    }
  });

  it('help in 60 columns, and for a reader who has left', async () => {
    const cwd = folder();
    const { status, stdout, stderr } = await line([name, '--help'], { cwd, env: { COLUMNS: '60' } });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.split('\n').filter((text) => text.length > 60)).toEqual([]);
    // Folded calls are calls still.
    const calls = stdout.replaceAll(/ \\\n +/g, ' ').split('\n');
    for (const text of calls.filter((one) => one.startsWith('$ nmkt '))) await expectTypable(text.replace(/ #.*/, ''));
    expect(await line([name, '--help'], { cwd, isClosed: true })).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('nmkt alone', () => {
  it('says what there is in 60 columns', async () => {
    const { status, stdout, stderr } = await line([], { cwd: folder(), env: { COLUMNS: '60' } });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr.split('\n').filter((text) => text.length > 60)).toEqual([]);
    for (const name of names) expect(stderr).toContain(`\n  ${name} `);
  });

  it('is an error for who wants JSON', () => ends([], ['bad-usage', 'nmkt --help']));
});
