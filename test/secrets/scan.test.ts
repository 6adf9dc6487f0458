import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { nsecEncode } from 'nostr-tools/nip19';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { hex } from '../../src/hash.js';
import { chainElement } from '../../src/learning/seeds.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { startRelay } from '../../src/relay/embedded.js';
import { signEvent } from '../../src/schnorr.js';
import { note } from '../relay/samples.js';
import { createWorld, quietProgress, type World } from '../support/market-world.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { eventAround, searchFor } from '../support/secrets/needles.js';
import { endTest, flushOutputs, keepPassword, keepSecret, RUN_VARIABLE } from '../support/secrets/outputs.js';
import { inspectFolder, leaksOfRun } from '../support/secrets/run.js';
import { leaksOfWorld } from '../support/secrets/worlds.js';

/** The search for secrets at the end of every run of the tests sees what is planted: in a run of its own each time. */

let run: string;
let key: Buffer;
const outer = process.env[RUN_VARIABLE];
beforeEach(() => {
  flushOutputs();
  run = mkdtempSync(join(tmpdir(), 'nmkt-run-'));
  process.env[RUN_VARIABLE] = run;
  key = keepSecret(randomBytes(32));
});
afterEach(() => {
  endTest();
  flushOutputs();
  rmSync(run, { recursive: true });
  if (outer === undefined) delete process.env[RUN_VARIABLE];
  else process.env[RUN_VARIABLE] = outer;
});

function seen(): string[] {
  flushOutputs();
  return leaksOfRun(run).leaks.map(({ secret, form, where }) => `${secret} as ${form} in ${where}`);
}

/** A folder with these files, mode 0600 unless said otherwise, as a test leaves it behind. */
function leave(files: Readonly<Record<string, string | Uint8Array>>, mode = 0o600): void {
  const folder = mkdtempSync(join(run, 'left-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content, { mode });
  }
  inspectFolder(folder);
}

async function print(program: string, ...args: string[]): Promise<void> {
  const child = spawn(process.execPath, ['-e', program, ...args], { env: {} });
  await once(child, 'close');
}

const publish = (content: string): Promise<unknown> => memoryNetwork().relays().publish(note('a', { content }));

const SPELLINGS: Readonly<Record<string, (secret: Buffer) => string>> = {
  hex: (secret) => secret.toString('hex'),
  HEX: (secret) => secret.toString('hex').toUpperCase(),
  nsec: (secret) => nsecEncode(secret),
  base64: (secret) => secret.toString('base64'),
  base64url: (secret) => secret.toString('base64url').replace(/^/, '{"k":"'),
};

describe('a secret is seen', () => {
  it.each(Object.keys(SPELLINGS))('as %s', async (form) => {
    await publish(`so: ${SPELLINGS[form]!(key)}`);
    expect(seen()).toContainEqual(
      expect.stringMatching(`^key of a test as ${form.slice(0, 6)}.* in .*events, event/1//$`),
    );
  });

  it('inside of what base64 holds, wherever it begins there and wherever that stands', () => {
    for (let before = 0; before < 12; before++) {
      const secret = { name: 'x', value: hex(randomBytes(32)), places: [] };
      const inside = Buffer.concat([randomBytes(before), Buffer.from(secret.value, 'hex'), randomBytes(9)]);
      const forms = [
        inside.toString('base64'),
        inside.toString('base64url'),
        inside,
        `${' '.repeat(before)}${secret.value}`,
      ];
      for (const form of forms) expect(searchFor([secret])(Buffer.from(form)).length).toBeGreaterThan(0);
    }
  });

  it('on stdout, on stderr and on the command line of a process', async () => {
    await print(`process.stdout.write('x${key.toString('hex')}')`);
    expect(seen().filter((leak) => leak.endsWith('stdout'))).toHaveLength(1);
    key = keepSecret(randomBytes(32));
    await print(`console.error('${nsecEncode(key)}')`);
    expect(seen().filter((leak) => leak.endsWith('stderr'))).toHaveLength(1);
    if (process.platform === 'linux') expect(seen().some((leak) => leak.endsWith('processes'))).toBe(true);
  });

  it('in what a role says, and in a message over a socket', async () => {
    quietProgress([]).note(`the key is ${key.toString('hex')}`);
    expect(seen()).toEqual([expect.stringMatching(/said$/)]);
    key = keepSecret(randomBytes(32));
    const relay = await startRelay({ port: 0 });
    const socket = new WebSocket(relay.url);
    await once(socket, 'open');
    socket.send(JSON.stringify(['EVENT', note('a', { content: key.toString('base64') })]));
    await once(socket, 'message');
    socket.close();
    await relay.close();
    expect(seen()).toContainEqual(expect.stringMatching(/as base64 in .*frames, event/));
  });

  it('when it is a password', () => {
    quietProgress([]).warn(`wrong: ${keepPassword('four other words')}`);
    expect(seen()).toEqual([expect.stringMatching(/^password as bytes/)]);
  });

  it('in a file that is not its own, and in its own when that is open to others', () => {
    const nsec = nsecEncode(key);
    leave({ 'home/key': nsec, 'home/settings.json': '{}' });
    expect(seen()).toEqual([]);
    leave({ 'home/key': nsec, 'home/log.txt': `signed with ${key.toString('hex')}` });
    expect(seen()).toEqual([expect.stringMatching(/^private key as hex in .*log\.txt$/)]);
    leave({ 'home/key': nsec }, 0o640);
    expect(seen()).toContainEqual(
      expect.stringMatching(/^private key as nsec in .*home\/key, which is open to others$/),
    );
  });

  it('when it was only ever in a file of one test, and another printed it', async () => {
    const other = randomBytes(32);
    leave({
      'home/wallet': `nostr+walletconnect://${'a1'.repeat(32)}?relay=ws%3A%2F%2F127.0.0.1%3A7&secret=${hex(other)}`,
    });
    await print(`console.log('${hex(other)}')`);
    expect(seen()).toContainEqual(expect.stringMatching(/^wallet secret as hex in .*stdout$/));
  });
});

describe('of a market in memory', () => {
  let world: World;
  let shown: unknown[];
  const seenIn = (preimages: { preimage: string; isPaid: boolean }[] = []): string[] =>
    leaksOfWorld({
      ...world,
      name: 'w',
      people: [world.customer, ...world.trainers],
      events: () => shown,
      preimages: () => preimages,
    }).leaks.map(({ secret, where }) => `${secret} in ${where}`);
  beforeEach(async () => {
    shown = [];
    world = await createWorld({ name: `scan ${randomBytes(4).toString('hex')}`, rounds: 1 });
  });

  it('secrets in a file of another purpose or in a journal are seen', () => {
    expect(seenIn()).toEqual([]);
    world.trainers[0]!.files.set('jobs/x/note.json', Buffer.from(world.secrets.blobs));
    expect(seenIn()).toEqual([
      `secret of all round keys in jobs/x/note.json of ${world.trainers[0]!.name}, in the world w`,
    ]);
    world.customer.events.push({ event: note('a', { content: world.secrets.chain }) });
    shown.push(note('a', { content: world.secrets.seed }));
    expect(seenIn()).toHaveLength(3);
    expect(seenIn()[2]).toBe('seed in events.jsonl of the relays, in the world w');
  });

  it('a link of the chain, a salt and a preimage may stand in the event that shows them, and in no other', () => {
    const link = hex(chainElement(Buffer.from(world.secrets.chain, 'hex'), 1, 0));
    const salt = randomBytes(32);
    const preimage = hex(randomBytes(32));
    const { customer } = world;
    const job = world.jobId;
    customer.files.set(`jobs/${job}/update-${job}.bin`, Buffer.concat([salt, randomBytes(40)]));
    const say = (kind: number, phase: string, content: string, round = '0') => {
      const tags = [
        ['phase', phase],
        ['round', round],
      ];
      customer.events.push({ event: signEvent({ kind, created_at: 1, tags, content }, customer.secret) });
    };
    const preimages = [{ preimage, isPaid: true }];
    say(KINDS.round, 'draw', link);
    say(KINDS.submission, 'reveal', hex(salt));
    say(KINDS.notice, 'receipt', preimage);
    expect(seenIn(preimages)).toEqual([]);
    say(KINDS.round, 'draw', link, '1');
    say(KINDS.submission, 'commit', hex(salt));
    say(KINDS.claim, '', preimage);
    expect(seenIn(preimages).map((leak) => leak.split(' in ')[0])).toEqual([
      'link 0 of the chain',
      'salt of a commitment',
      'preimage',
    ]);
  });
});

it('finds the event around a byte in logs, journals and messages', () => {
  const event = {
    kind: 7,
    tags: [
      ['phase', 'p'],
      ['round', '3'],
    ],
    content: 'here',
  };
  const lines = [event, { at: 1, event }, ['EVENT', event], ['EVENT', 'sub', event]].map((one) => JSON.stringify(one));
  for (const line of lines) {
    const text = Buffer.from(`{"kind":1}\nnoise\n${line}\nnoise`);
    expect(eventAround(text, text.indexOf('here'))).toBe('event/7/p/3');
    expect(eventAround(text, text.indexOf('noise'))).toBeUndefined();
  }
});

it('fails a run whose tests all pass', async () => {
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--config', 'test/secrets/planted/vitest.config.ts', '--maxWorkers=1'];
  const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: run, TMPDIR: run };
  const { status, text } = await new Promise<{ status: unknown; text: string }>((done) =>
    execFile(process.execPath, args, { env }, (error, stdout, stderr) =>
      done({ status: error?.code ?? 0, text: stdout + stderr }),
    ),
  );
  expect(text).toMatch(/1 passed/);
  expect(text).toMatch(/secrets: private key as hex in \S*stdout/);
  expect(status, text).toBe(1);
  expect(readdirSync(run).filter((name) => name.startsWith('nmkt-run-'))).toEqual([]);
});
