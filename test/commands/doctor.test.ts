import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Check } from '../../src/commands/doctor-check.js';
import { judgeDisk, judgeEngines, judgeNode, MIN_NODE } from '../../src/commands/doctor-machine.js';
import { judgeClock, judgeRelay, judgeWallet, type RelayFacts } from '../../src/commands/doctor-network.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { startSandbox } from '../support/story.js';

const information = {
  ...{ name: 'a relay', software: 'x', needsAuth: false, needsPayment: false },
  ...{ maxMessageBytes: null, maxContentBytes: null },
};
const good: RelayFacts = {
  url: 'wss://relay.example',
  answer: { information, problem: '', clockAheadSec: 0.3 },
  written: { state: 'stored', message: '' },
  ...{ writeMs: 40, isReadBack: true, readMs: 20 },
};
const saying = (more: Partial<typeof information> & { readonly maxMessageBytes?: number | null }): RelayFacts => ({
  ...good,
  answer: { ...good.answer, information: { ...information, ...more } },
});

describe('a relay', () => {
  it.each<[string, RelayFacts, Check['state'], RegExp, RegExp | null]>([
    ['that stores and answers', good, 'ok', /written in 40 ms, read in 20 ms, a relay, no AUTH needed/, null],
    ['that wants AUTH and got it', saying({ needsAuth: true }), 'ok', /AUTH needed and answered/, null],
    ['that wants money', saying({ needsPayment: true }), 'ok', /wants to be paid/, null],
    [
      'without NIP-11',
      { ...good, answer: { information: null, problem: 'HTTP status 404', clockAheadSec: null } },
      'ok',
      /no NIP-11 document \(HTTP status 404\)/,
      null,
    ],
    [
      'that is silent',
      { ...good, written: { state: 'unreachable', message: 'ECONNREFUSED' } },
      'fail',
      /no answer: ECONNREFUSED/,
      /--relay/,
    ],
    [
      'that does not know the key',
      { ...good, written: { state: 'refused', message: 'auth-required: members only' } },
      'fail',
      /members only/,
      /admit your key/,
    ],
    [
      'that refuses',
      { ...good, written: { state: 'refused', message: 'blocked: spam' } },
      'fail',
      /blocked: spam/,
      /ask its operator/,
    ],
    ['that forgets', { ...good, isReadBack: false }, 'fail', /did not give it back/, /--relay/],
    ['that is slow', { ...good, readMs: 3_001 }, 'warn', /slow/, /--relay/],
    ['that takes no chunk', saying({ maxMessageBytes: 64_411 as never }), 'warn', /64411 bytes/, /datasets/],
    ['that takes a chunk', saying({ maxMessageBytes: 64_412 as never }), 'ok', /written/, null],
    ['whose contents are small', saying({ maxContentBytes: 64_039 as never }), 'warn', /64039 bytes/, /datasets/],
  ])('%s', (_, facts, state, detail, remedy) => {
    const check = judgeRelay(facts);
    expect(check).toMatchObject({ name: 'relay wss://relay.example', state, detail: expect.stringMatching(detail) });
    if (remedy === null) expect(check.remedy).toBeNull();
    else expect(check.remedy).toMatch(remedy);
  });
});

describe('the clock', () => {
  const by = (...ahead: (number | null)[]) =>
    judgeClock(ahead.map((clockAheadSec) => ({ ...good, answer: { ...good.answer, clockAheadSec } })));

  it.each<[string, (number | null)[], Check['state'], string]>([
    ['is right', [0.4], 'ok', 'as the relays'],
    ['is a little behind', [30], 'ok', '30 s behind the relays'],
    ['is behind', [31], 'warn', '31 s behind the relays'],
    ['is an hour ahead', [-3_600], 'fail', '3600 s ahead of the relays'],
    ['is judged by the middle relay', [-9_000, 1, 4_000], 'ok', 'as the relays'],
    ['is not known', [null], 'ok', 'no relay tells the time; they accept events of now'],
  ])('%s', (_, ahead, state, detail) => {
    expect(by(...ahead)).toMatchObject({ name: 'clock', state, detail });
  });

  it('is only a question when no relay answers', () => {
    const silent: RelayFacts = {
      ...good,
      answer: { information: null, problem: 'ECONNREFUSED', clockAheadSec: null },
      written: { state: 'unreachable', message: '' },
    };
    expect(judgeClock([silent])).toMatchObject({ state: 'warn' });
  });
});

describe('a wallet', () => {
  const all = ['get_info', 'get_balance', 'make_invoice', 'pay_invoice', 'lookup_invoice'];
  const having = (methods: readonly string[], network = 'regtest') =>
    judgeWallet({ alias: 'hub', network: network as never, methods: new Set(methods) }, 21_500n, 'sandbox');

  it.each<[string, readonly string[], Check['state'], RegExp]>([
    ['that does everything', all, 'ok', /^hub on regtest, 21 sat$/],
    ['that cannot pay', all.filter((name) => name !== 'pay_invoice'), 'warn', /cannot pay: no pay_invoice/],
    ['that cannot be paid', all.filter((name) => name !== 'make_invoice'), 'warn', /cannot be paid: no make_invoice/],
    ['that only shows', ['get_info', 'get_balance'], 'fail', /neither pay nor be paid/],
  ])('%s', (_, methods, state, detail) => {
    expect(having(methods)).toMatchObject({ name: 'wallet', state, detail: expect.stringMatching(detail) });
  });

  it('of another network fails', () => {
    expect(having(all, 'bitcoin')).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('--network bitcoin'),
    });
  });
});

describe('the machine', () => {
  it('needs the Node.js that the package names', () => {
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    expect(engines.node).toBe(`>=${MIN_NODE.join('.')}`);
    expect(['20.18.9', '18.20.0', '20.19.0', '22.1.0'].map((version) => judgeNode(version).state)).toEqual([
      'fail',
      'fail',
      'ok',
      'ok',
    ]);
  });

  it('needs some free disk', () => {
    const states = [2 ** 30, 2 ** 30 - 1, 100 * 2 ** 20 - 1, null].map((free) => judgeDisk(free, '/').state);
    expect(states).toEqual(['ok', 'warn', 'fail', 'warn']);
  });

  it('needs one engine, and the wanted one', () => {
    const states = (want: string, fit: readonly string[]) =>
      judgeEngines(
        (['node', 'wasm', 'cpu'] as const).map((rung) => ({ rung, ok: fit.includes(rung), reason: 'not installed' })),
        want,
      ).map(({ state }) => state);
    expect(states('auto', ['wasm', 'cpu'])).toEqual(['warn', 'ok', 'ok']);
    expect(states('node', ['wasm', 'cpu'])).toEqual(['fail', 'ok', 'ok']);
    expect(states('auto', [])).toEqual(['fail', 'fail', 'fail']);
  });
});

describe('nmkt doctor', () => {
  it('finds nothing wrong in a sandbox, and leaves neither key nor home', async () => {
    const sandbox = await startSandbox(1);
    const { status, stdout, stderr } = await runNmkt(['doctor', ...sandbox.as('customer', 'new'), '--json']);
    expect(status, stdout + stderr).toBe(0);
    const { checks } = JSON.parse(stdout) as { checks: Check[] };
    expect(checks.map(({ name }) => name)).toEqual([
      ...['node', 'home', 'disk', 'key', 'clock', `relay ${sandbox.relay}`, 'wallet'],
      ...['engine node', 'engine wasm', 'engine cpu'],
    ]);
    for (const { state, remedy } of checks) {
      expect(state).not.toBe('fail');
      expect(remedy === null).toBe(state === 'ok');
    }
    const detailOf = (name: string) => checks.find((check) => check.name === name)!.detail;
    expect(detailOf('home')).toContain('not made yet');
    expect(detailOf('clock')).toBe('as the relays');
    expect(detailOf(`relay ${sandbox.relay}`)).toMatch(/written in \d+ ms, read in \d+ ms, nmkt relay, no AUTH needed/);
    expect(detailOf('wallet')).toMatch(/ on regtest, 1000000 sat$/);
    expect(() => readFileSync(join(sandbox.folder, 'new', 'key'))).toThrow('ENOENT');
    const text = await runNmkt(['doctor', ...sandbox.as('customer', 'new')]);
    expect([text.status, text.stdout.trimEnd().split('\n')]).toMatchObject([0, { length: checks.length }]);
    expect(text.stdout).toMatch(/^ok +node +\d+\.\d+/);
  });

  it('names what fails, with a remedy each and status 3', async () => {
    const home = join(temporaryFolder(), 'home');
    mkdirSync(home);
    writeFileSync(join(home, 'notes'), 'x');
    chmodSync(join(home, 'notes'), 0o644);
    const wallet = `nostr+walletconnect://${'ab'.repeat(32)}?relay=ws%3A%2F%2F127.0.0.1%3A9&secret=${'cd'.repeat(32)}`;
    const { status, stdout, stderr } = await runNmkt(
      ['doctor', '--relay', 'ws://127.0.0.1:9', '--home', home, '--json'],
      { env: { NMKT_WALLET: wallet } },
    );
    expect(status).toBe(3);
    const { checks } = JSON.parse(stdout) as { checks: Check[] };
    const failing = checks.filter(({ state }) => state === 'fail');
    expect(failing.map(({ name }) => name)).toEqual(['home', 'relay ws://127.0.0.1:9', 'wallet']);
    expect(failing[0]).toMatchObject({ detail: 'others can read notes', remedy: `chmod -R go-rwx ${home}` });
    expect(failing.every(({ remedy }) => remedy !== null && remedy.length > 5)).toBe(true);
    expect(stdout + stderr).not.toContain('cd'.repeat(32));
    expect(stderr).toContain('3 of ');
  });

  it('says so when no relay is set', async () => {
    const { status, stdout } = await runNmkt(['doctor', '--home', 'h', '--json']);
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      checks: expect.arrayContaining([
        expect.objectContaining({ name: 'relays', state: 'fail' }),
        expect.objectContaining({ name: 'wallet', state: 'warn' }),
      ]),
    });
  });
});
