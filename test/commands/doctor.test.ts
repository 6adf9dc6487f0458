import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Check } from '../../src/commands/doctor-check.js';
import {
  judgeDisk,
  judgeEngines,
  judgeMasking,
  judgeNode,
  judgeSignatures,
  MIN_NODE,
} from '../../src/commands/doctor-machine.js';
import { judgeClock, judgeRelay } from '../../src/commands/doctor-relay.js';
import { judgeWallet, type WalletFacts } from '../../src/commands/doctor-wallet.js';
import type { RelayFacts } from '../../src/commands/relay-verdict.js';
import type { RelayInformation } from '../../src/relay/fetch-information.js';
import { describeMasking } from '../../src/relay/masking.js';
import type { ProbeFacts, ProbeStep, ProbeSteps, StepFacts } from '../../src/relay/probe.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { startSandbox } from '../support/story.js';

const information = {
  ...{ name: 'a relay', software: 'x', version: '1', needsAuth: false, needsPayment: false, powBits: 0 },
  ...{ maxMessageBytes: null, maxContentBytes: null, maxSubscriptions: null, maxTags: null },
};
const fine: StepFacts = { state: 'stored', message: '', isBack: true, writeMs: 40, readMs: 20 };
const steps: ProbeSteps = {
  ...{ event: fine, regular: fine, chunk: fine, wrap: fine, strange: fine, ephemeral: fine },
  burst: { sent: 16, stored: 16, tookMs: 20, message: '', isTakenLater: null },
  ...{ takenBytes: 64_412, refusedBytes: null, deletion: 'honoured', loginToRead: false, loginToWrite: false },
};
const reached: ProbeFacts = {
  ...{ problem: null, connectMs: 10, clockAheadSec: null, auth: 'none' },
  ...{ slower: null, readProblem: null, steps },
};
const good: RelayFacts = {
  url: 'wss://relay.example',
  answer: { information, problem: '', clockAheadSec: 0.3 },
  probe: reached,
  triedAtSec: 1_800_000_000,
};
const saying = (more: Partial<RelayInformation>): RelayFacts => ({
  ...good,
  answer: { ...good.answer, information: { ...information, ...more } },
});
const probing = (more: Partial<ProbeFacts>): RelayFacts => ({ ...good, probe: { ...reached, ...more } });
const stepping = (name: ProbeStep, more: Partial<StepFacts>): RelayFacts =>
  probing({ steps: { ...steps, [name]: { ...fine, ...more } } });
const refused = { state: 'refused', isBack: false } as const;

describe('a relay', () => {
  it.each<[string, RelayFacts, string, Check['state'], RegExp, RegExp | null]>([
    ['that stores and answers', good, '', 'ok', /written in 40 ms, read in 20 ms, a relay$/, null],
    [
      'without NIP-11',
      { ...good, answer: { information: null, problem: 'HTTP status 404', clockAheadSec: null } },
      ...['', 'ok', /no NIP-11 document \(HTTP status 404\)/, null],
    ] as never,
    ['that is not there', probing({ problem: 'ECONNREFUSED' }), '', 'fail', /no answer: ECONNREFUSED/, /--relay/],
    [
      'that does not know the key',
      stepping('event', { ...refused, message: 'auth-required: members only' }),
      ...['', 'fail', /members only/, /admit your key/],
    ] as never,
    [
      'that refuses',
      stepping('event', { ...refused, message: 'blocked: spam' }),
      '',
      'fail',
      /spam/,
      /ask its operator/,
    ],
    [
      'that says nothing',
      stepping('event', { state: 'silent', isBack: false }),
      '',
      'fail',
      /takes no events/,
      /--relay/,
    ],
    ['that forgets', stepping('event', { isBack: false }), '', 'fail', /did not give it back/, /--relay/],
    ['that is slow', stepping('event', { readMs: 3_001 }), '', 'warn', /slow/, /--relay/],
    ['that takes a chunk', good, ' chunk', 'ok', /64412 bytes in 40 ms, gave it back in 20 ms/, null],
    [
      'that takes no chunk',
      stepping('chunk', { ...refused, message: 'too large' }),
      ' chunk',
      'fail',
      /too large/,
      /data/,
    ],
    ['that keeps no wrap', stepping('wrap', { isBack: false }), ' gift wrap', 'fail', /not give it back/, /grants/],
    ['that passes nothing on', stepping('ephemeral', { isBack: false }), ' ephemeral', 'warn', /nobody/, /one process/],
    ['without a limit of pace', good, ' rate', 'ok', /no limit met/, null],
    ['that is hasty', probing({ slower: 'rate-limited: calm' }), ' rate', 'warn', /rate-limited: calm/, /uploads wait/],
    ['that wants no login', good, ' AUTH', 'ok', /not demanded/, null],
    ['that offers a login', probing({ auth: 'offered' }), ' AUTH', 'ok', /offered/, null],
    ['that demands a login', probing({ auth: 'accepted' }), ' AUTH', 'ok', /demanded .*accepted/, null],
    ['that refuses the login', probing({ auth: 'refused' }), ' AUTH', 'fail', /refuses it/, /nmkt whoami/],
    ['that may demand a login', probing({ auth: 'demanded' }), ' AUTH', 'warn', /not tried/, /--no-probe/],
    ['that sets no limits', good, ' limits', 'ok', /leaves room/, null],
    ['that says small messages', saying({ maxMessageBytes: 64_411 }), ' limits', 'warn', /64411 bytes/, /--relay/],
    ['that says large messages', saying({ maxMessageBytes: 64_412 }), ' limits', 'ok', /leaves room/, null],
    ['that says small contents', saying({ maxContentBytes: 64_039 }), ' limits', 'warn', /64039 bytes/, /--relay/],
    ['that says few subscriptions', saying({ maxSubscriptions: 9 }), ' limits', 'warn', /at most 9 sub/, /--relay/],
    ['that wants money', saying({ needsPayment: true }), ' limits', 'warn', /wants to be paid/, /--relay/],
    ['only read', probing({ steps: null }), '', 'ok', /nothing was written/, null],
    ['not even read', probing({ steps: null, readProblem: 'no answer to a REQ' }), '', 'fail', /REQ/, /--relay/],
  ])('%s', (_, facts, row, state, detail, remedy) => {
    const check = judgeRelay(facts).find(({ name }) => name === `relay wss://relay.example${row}`)!;
    expect(check).toMatchObject({ state, detail: expect.stringMatching(detail) });
    if (remedy === null) expect(check.remedy).toBeNull();
    else expect(check.remedy).toMatch(remedy);
  });

  it('is only warned of when another one takes chunks', () => {
    const small = stepping('chunk', { ...refused, message: 'too large' });
    const stateBeside = (other: RelayFacts) =>
      judgeRelay(small, [other]).find(({ name }) => name.endsWith(' chunk'))!.state;
    expect([stateBeside(good), stateBeside(small)]).toEqual(['warn', 'fail']);
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

  const dateless = { information: null, problem: 'ECONNREFUSED', clockAheadSec: null };
  it('is only a question when no relay answers', () => {
    expect(judgeClock([{ ...probing({ problem: 'x', steps: null }), answer: dateless }])).toMatchObject({
      state: 'warn',
    });
  });

  it('is wrong when relays refuse events of now for their time', () => {
    const late = stepping('event', { ...refused, message: 'invalid: created_at is 3600 s ahead' });
    expect(judgeClock([{ ...late, answer: dateless }])).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('3600 s ahead'),
    });
  });

  it('is read from the upgrade where there is no document', () => {
    expect(judgeClock([{ ...probing({ clockAheadSec: 400 }), answer: dateless }])).toMatchObject({ state: 'fail' });
  });
});

describe('a wallet', () => {
  const all = ['get_info', 'get_balance', 'get_budget', 'make_invoice', 'pay_invoice', 'lookup_invoice'];
  const having = (methods: readonly string[], network = 'regtest', budget: WalletFacts['budget'] = null) => {
    const info = {
      alias: 'hub',
      network: network as never,
      methods: new Set(methods),
      encryption: 'nip44_v2' as const,
    };
    return judgeWallet({ info, balanceMsat: 21_500n, budget }, 'sandbox');
  };
  const without = (method: string) => all.filter((name) => name !== method);

  it.each<[string, readonly Check[], string, Check['state'], RegExp]>([
    ['that is there', having(all), 'wallet', 'ok', /^hub on regtest, 21 sat$/],
    ['of another network', having(all, 'bitcoin'), 'wallet', 'fail', /on bitcoin, the settings say sandbox/],
    ['that does everything', having(all), 'wallet methods', 'ok', /pay and be paid/],
    ['that cannot pay', having(without('pay_invoice')), 'wallet methods', 'warn', /cannot pay, .*no pay_invoice/],
    ['that cannot be paid', having(without('make_invoice')), 'wallet methods', 'warn', /no make_invoice/],
    ['that cannot look up', having(without('lookup_invoice')), 'wallet methods', 'fail', /no lookup_invoice$/],
    ['that only shows', having(['get_info', 'get_balance']), 'wallet methods', 'fail', /neither pay nor be paid/],
    ['without a budget', having(all), 'wallet budget', 'ok', /none/],
    [
      'with a budget',
      having(all, 'regtest', { usedMsat: 1_000_000n, totalMsat: 5_000_000n }),
      ...['wallet budget', 'ok', /4000 of 5000 sat left/],
    ] as never,
    [
      'with a spent budget',
      having(all, 'regtest', { usedMsat: 5_000_500n, totalMsat: 5_000_000n }),
      ...['wallet budget', 'warn', /0 of 5000 sat left/],
    ] as never,
    ['that seals', having(all), 'wallet encryption', 'ok', /nip44_v2/],
  ])('%s', (_, checks, name, state, detail) => {
    const check = checks.find((one) => one.name === name)!;
    expect(check).toMatchObject({ state, detail: expect.stringMatching(detail) });
    expect(check.remedy === null).toBe(state === 'ok');
  });

  it('that cannot pay has no budget to judge', () => {
    expect(having(without('pay_invoice')).map(({ name }) => name)).not.toContain('wallet budget');
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

  it('says which implementation signs, and why no faster one', () => {
    const reports = [
      { provider: 'native', isUsable: false, reason: 'no koffi' },
      { provider: 'wasm', isUsable: true, reason: '' },
    ] as const;
    expect(judgeSignatures(reports, 'wasm')).toEqual({
      name: 'signatures',
      state: 'ok',
      detail: 'wasm; native is not here: no koffi',
      remedy: null,
    });
    expect(judgeSignatures(reports, 'noble').state).toBe('warn');
    expect(judgeSignatures([{ provider: 'native', isUsable: true, reason: '' }], 'native').detail).toBe('native');
  });

  it('says how WebSockets are masked, and why not natively', () => {
    const absent = () => {
      throw new Error('not here');
    };
    const detail = (...args: Parameters<typeof describeMasking>) => judgeMasking(describeMasking(...args)).detail;
    expect(detail({}, () => ({ mask: Math.max }))).toBe('masked natively (bufferutil)');
    expect(detail({}, () => ({ mask: () => undefined }))).toMatch(/in JavaScript.*no build for this machine$/);
    expect(detail({}, absent)).toMatch(/in JavaScript.*bufferutil is not installed$/);
    expect(detail({ WS_NO_BUFFER_UTIL: '1' }, absent)).toMatch(/WS_NO_BUFFER_UTIL is set$/);
  });

  it('needs one engine, and the wanted one', () => {
    const states = (want: string, fit: readonly string[]) =>
      judgeEngines(
        (['node', 'webgpu', 'wasm', 'cpu'] as const).map((rung) => ({
          rung,
          ok: fit.includes(rung),
          reason: 'not installed',
        })),
        want,
      ).map(({ state }) => state);
    expect(states('auto', ['wasm', 'cpu'])).toEqual(['warn', 'warn', 'ok', 'ok']);
    expect(states('node', ['wasm', 'cpu'])).toEqual(['fail', 'warn', 'ok', 'ok']);
    expect(states('auto', [])).toEqual(['fail', 'fail', 'fail', 'fail']);
  });
});

describe('nmkt doctor', () => {
  it('finds nothing wrong in a sandbox, and leaves neither key nor home', async () => {
    const sandbox = await startSandbox(1);
    const { status, stdout, stderr } = await runNmkt(['doctor', ...sandbox.as('customer', 'new'), '--json']);
    expect(status, stdout + stderr).toBe(0);
    const { checks } = JSON.parse(stdout) as { checks: Check[] };
    expect(checks.map(({ name }) => name)).toEqual([
      ...['node', 'signatures', 'websockets', 'home', 'disk', 'key', 'clock'],
      ...[
        '',
        ' chunk',
        ' gift wrap',
        ' gift wrap to others',
        ' ephemeral',
        ' rate',
        ' deletion',
        ' AUTH',
        ' limits',
      ].map((row) => `relay ${sandbox.relay}${row}`),
      ...['wallet', 'wallet methods', 'wallet budget', 'wallet encryption'],
      ...['engine node', 'engine webgpu', 'engine wasm', 'engine cpu'],
    ]);
    for (const { state, remedy } of checks) {
      expect(state).not.toBe('fail');
      expect(remedy === null).toBe(state === 'ok');
    }
    const detailOf = (name: string) => checks.find((check) => check.name === name)!.detail;
    expect(detailOf('home')).toContain('not made yet');
    expect(detailOf('clock')).toBe('as the relays');
    expect(detailOf(`relay ${sandbox.relay}`)).toMatch(/written in \d+ ms, read in \d+ ms, nmkt relay$/);
    expect(checks.filter(({ name }) => name.startsWith('relay ')).map(({ state }) => state)).toEqual(
      Array(9).fill('ok'),
    );
    expect(detailOf('wallet budget')).toMatch(/^none/);
    expect(detailOf('engine wasm')).toMatch(/^wasm\/[0-9a-f]{8}\/.*, trains [1-9]\d* small examples\/s$/);
    expect(detailOf('wallet')).toMatch(/ on regtest, 1000000 sat$/);
    expect(() => readFileSync(join(sandbox.folder, 'new', 'key'))).toThrow('ENOENT');
    const text = await runNmkt(['doctor', ...sandbox.as('customer', 'new')]);
    // One row for the relay under a head, instead of nine.
    expect([text.status, text.stdout.trimEnd().split('\n')]).toMatchObject([0, { length: checks.length - 9 + 3 }]);
    expect(text.stdout).toMatch(/\n127\.0\.0\.1:\d+ +data \+ jobs +64K +\d+\/s +read +now\n/);
    expect(JSON.parse(stdout)).toMatchObject({ relays: [{ url: sandbox.relay, use: 'data + jobs', reason: '' }] });
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
