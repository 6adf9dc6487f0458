import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { customerPorts } from '../../src/commands/customer-ports.js';
import { checkRelays } from '../../src/commands/doctor-network.js';
import { describeDoctor } from '../../src/commands/doctor-table.js';
import {
  isCurrent,
  isSameSoftware,
  keepKnowledge,
  readKnowledge,
  type KnownRelay,
} from '../../src/commands/relay-knowledge.js';
import { requireFitRelays } from '../../src/commands/relay-fit.js';
import { lastingNo, verdictOf, type RelayFacts } from '../../src/commands/relay-verdict.js';
import { inboxRelays } from '../../src/commands/trainer-inbox.js';
import { openHome } from '../../src/config/home.js';
import type { RelayInformation } from '../../src/relay/fetch-information.js';
import type { ProbeSteps, StepFacts } from '../../src/relay/probe.js';
import { strictRelay } from '../support/faults/strict-relay.js';
import { callCommand, withContext } from '../support/run-command.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { pubkeyOf, secretOf, signerOf } from '../relay/samples.js';
import { relayWith } from './scripted-relay.js';

const NOW = 1_800_000_000;
const fine: StepFacts = { state: 'stored', message: '', isBack: true, writeMs: 40, readMs: 20 };
const no = (message: string): StepFacts => ({ ...fine, state: 'refused', isBack: false, message });
const information: RelayInformation = {
  ...{ name: 'a relay', software: 'x', version: '1', needsAuth: false, needsPayment: false, powBits: 0 },
  ...{ maxMessageBytes: null, maxContentBytes: null, maxSubscriptions: null, maxTags: null },
};
const steps: ProbeSteps = {
  ...{ event: fine, regular: fine, chunk: fine, wrap: fine, strange: fine, ephemeral: fine },
  burst: { sent: 16, stored: 16, tookMs: 20, message: '', isTakenLater: null },
  ...{ takenBytes: 64_412, refusedBytes: null, deletion: 'honoured', loginToRead: false, loginToWrite: false },
};
const known = (more: Partial<ProbeSteps> = {}, about: Partial<RelayInformation> = {}): KnownRelay => ({
  ...{ url: 'wss://relay.example', triedAtSec: NOW, by: null },
  answer: { information: { ...information, ...about }, problem: '', clockAheadSec: 0 },
  probe: {
    ...{ problem: null, connectMs: 10, clockAheadSec: null, auth: 'none', slower: null, readProblem: null },
    steps: { ...steps, ...more },
  },
});
const burst = (stored: number, message: string, isTakenLater: boolean | null = null) => ({
  burst: { ...steps.burst, ...{ stored, message, isTakenLater } },
});

describe('a relay is good for', () => {
  const pow = 'pow: 28 bits needed. (0)';
  it.each<[string, RelayFacts, string, string]>([
    ['everything', known(), 'data + jobs', ''],
    ['data at its own pace', known(burst(5, 'rate-limited: slow', true)), 'data + jobs', ''],
    [
      'jobs, that takes few events',
      known(burst(5, 'rate-limited: slow', false)),
      ...['jobs only', 'it takes 5 of 16 events at once, and none a second later'],
    ] as never,
    [
      'jobs, that takes small events',
      known({ chunk: no('invalid: too large'), takenBytes: 16_000, refusedBytes: 20_000 }),
      ...['jobs only', 'it takes events up to 16000 to 20000 bytes, a chunk has 64412'],
    ] as never,
    [
      'jobs, that keeps no chunk',
      known({ chunk: { ...fine, isBack: false } }),
      'jobs only',
      'it took a chunk and did not give it back',
    ],
    [
      'jobs, that wants work on chunks',
      known({ chunk: no(pow) }),
      'jobs only',
      'it wants 28 bits of proof of work on a chunk',
    ],
    [
      'jobs, of known keys alone',
      known({ ...burst(0, 'restricted: members'), chunk: no('restricted: members') }),
      ...['jobs only', 'it takes no chunk of 64412 bytes: restricted: members'],
    ] as never,
    ['gift wraps', known({ event: no('blocked: kind 30078') }), 'inbox only', 'it refuses events: blocked: kind 30078'],
    ['nothing, for work', known({ event: no(pow), wrap: no(pow) }), 'unusable', 'it wants 28 bits of proof of work'],
    [
      'nothing, for money',
      known({ event: no('restricted: pay first'), wrap: no('restricted') }, { needsPayment: true }),
      ...['unusable', 'it wants to be paid: restricted: pay first'],
    ] as never,
    [
      'nothing of regular events',
      known({ regular: no('blocked: kind 4621'), wrap: no('') }),
      'unusable',
      'it refuses events: blocked: kind 4621',
    ],
    [
      'nothing, that is not there',
      { ...known(), probe: { ...known().probe, problem: 'ECONNREFUSED' } },
      'unusable',
      'no answer: ECONNREFUSED',
    ],
  ])('%s', (_, facts, use, reason) => expect(verdictOf(facts)).toEqual({ use, reason }));

  it('what nobody tried is not judged', () => {
    expect(verdictOf({ ...known(), probe: { ...known().probe, steps: null } })).toBeNull();
  });

  it('a lasting no is about work, money and size alone', () => {
    const of = (more: Partial<ProbeSteps>, about = {}) => [
      lastingNo(known(more, about), 'data'),
      lastingNo(known(more, about), 'jobs'),
    ];
    expect(of({})).toEqual(['', '']);
    expect(of({ chunk: no('invalid: too large'), takenBytes: 300, refusedBytes: 400 })).toEqual([
      expect.stringContaining('400 bytes'),
      '',
    ]);
    expect(of({ chunk: no('rate-limited: later') })).toEqual(['', '']);
    expect(of({ chunk: no(pow) })).toEqual([expect.stringContaining('28 bits'), '']);
    expect(of({ regular: no(pow) })).toEqual(Array(2).fill('it wants 28 bits of proof of work'));
    expect(of({ event: no('restricted: members') })).toEqual(['', '']);
    expect(of({ event: no('restricted: members') }, { needsPayment: true })).toEqual(
      Array(2).fill(expect.stringContaining('paid')),
    );
  });
});

describe('what a home knows of relays', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, at): KnownRelay => ({
      ...known(),
      url: `wss://r${at}.example`,
      triedAtSec: NOW + at,
    }));

  it('is kept for the 256 tried last, replaced by what is found later', async () => {
    const home = openHome(temporaryFolder());
    expect((await readKnowledge(home)).size).toBe(0);
    await keepKnowledge(home, many(300));
    const first = await readKnowledge(home);
    expect([first.size, first.has('wss://r43.example'), first.has('wss://r44.example')]).toEqual([256, false, true]);
    const again: KnownRelay = { ...known({ deletion: 'ignored' }), url: 'wss://r299.example', triedAtSec: NOW + 900 };
    await keepKnowledge(home, [again]);
    expect((await readKnowledge(home)).get(again.url)).toEqual(again);
    expect((await readKnowledge(home)).size).toBe(256);
  });

  it.each<[string, (text: string) => string]>([
    ['cut short', (text) => text.slice(0, -10)],
    ['no JSON', () => '\u0000\u0000'],
    ['of another version', (text) => text.replace('"version":1', '"version":2')],
    ['of other shapes', (text) => text.replace('"isBack":true', '"isBack":"yes"')],
    ['without a burst', (text) => text.replace('"burst"', '"gust"')],
    ['null', () => 'null'],
  ])('is as good as nothing when the file is %s, and starts anew', async (_, damage) => {
    const home = openHome(temporaryFolder());
    await keepKnowledge(home, [known()]);
    const path = home.path('relay-knowledge.json');
    const damaged = damage(readFileSync(path, 'utf8'));
    expect(damaged).not.toBe(readFileSync(path, 'utf8'));
    writeFileSync(path, damaged);
    expect((await readKnowledge(home)).size).toBe(0);
    await keepKnowledge(home, [known()]);
    expect((await readKnowledge(home)).size).toBe(1);
  });

  it('stands for a week, for the key that tried it, for the same software', () => {
    const day = 86_400;
    const at = (sec: number, by: KnownRelay['by'] = null) => isCurrent(known(), NOW + sec, by);
    expect([at(0), at(7 * day), at(7 * day + 1), at(-1), at(0, pubkeyOf('other'))]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    const same = (now: Partial<RelayInformation> | null) => isSameSoftware(known(), now && { ...information, ...now });
    expect([same({}), same(null), same({ version: '2' }), same({ software: 'y' })]).toEqual([true, true, false, false]);
  });
});

const pow = ({ kind }: { readonly kind: number }) => (kind === 4621 ? 'pow: 28 bits needed. (0)' : undefined);

const homeOf = (cwd: string): string => join(cwd, 'h');

describe('nmkt doctor', () => {
  const doctor = (cwd: string, relay: readonly string[], isFresh = false) =>
    withContext({ cwd, options: { home: homeOf(cwd), relay } }, async (context) => {
      const { checks, relays } = await checkRelays(context, relay, { isWriting: true, isFresh });
      return {
        text: describeDoctor(checks, relays, context.deps.clock.nowSec()),
        relays,
        verdict: verdictOf(relays[0]!),
      };
    });

  it('writes to a relay once in a week, unless it is told to or the relay changed; asks each time whether it is there', async () => {
    const cwd = temporaryFolder();
    let version = '1.0';
    const relay = await strictRelay({
      onEvent: pow,
      deletes: true,
      information: () => ({ software: 'strict', version }),
    });
    await openHome(homeOf(cwd)).writeFile('x', '');
    const first = await doctor(cwd, [relay.url]);
    const written = relay.written.length;
    expect(written).toBeGreaterThan(16);
    expect(first.verdict).toEqual({ use: 'inbox only', reason: 'it wants 28 bits of proof of work' });
    const second = await doctor(cwd, [relay.url]);
    expect(relay.written.length).toBe(written);
    expect(second.relays[0]!.probe.steps).toEqual(first.relays[0]!.probe.steps);
    expect(second.relays[0]!.triedAtSec).toBe(first.relays[0]!.triedAtSec);
    version = '1.1';
    await doctor(cwd, [relay.url]);
    expect(relay.written.length).toBe(2 * written);
    await doctor(cwd, [relay.url], true);
    expect(relay.written.length).toBe(3 * written);
    await relay.close();
    const down = await doctor(cwd, [relay.url]);
    expect(down.verdict).toEqual({ use: 'unusable', reason: 'no answer: ECONNREFUSED' });
  });

  it('shows a row per relay of at most 60 columns, and says below what is wrong', async () => {
    const cwd = temporaryFolder();
    const [good, poor] = [await relayWith([]), await strictRelay({ onEvent: pow, deletes: true })];
    const { text } = await doctor(cwd, [
      good,
      poor.url,
      'ws://127.0.0.1:9',
      'ws://127.0.0.1:10/a/rather/long/path/to/it',
    ]);
    const rows = text.split('\n\n')[1]!.split('\n');
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 3))).toEqual([
      ['relay', 'good for', 'size'],
      [good.slice(5), 'data + jobs', '64K'],
      [poor.url.slice(5), 'inbox only', '-'],
      ['127.0.0.1:9', 'unusable', '-'],
      ['127.0.0.1…th/to/it', 'unusable', '-'],
    ]);
    expect(rows[1]).toMatch(/ \d+\/s +read +now$/);
    expect(Math.max(...rows.map(({ length }) => length))).toBeLessThanOrEqual(60);
    expect(text).toContain(`\n${poor.url.slice(5)}: inbox only: it wants 28 bits of proof of work\n`);
    expect(text).toMatch(/^fail {2}127\.0\.0\.1:9: no answer: ECONNREFUSED; try: /m);
  });
});

it('a trainer names no relay for its inbox that is known to keep no gift wraps', async () => {
  const cwd = temporaryFolder();
  const [good, poor] = [await relayWith([]), await relayWith([])];
  const home = openHome(homeOf(cwd));
  const signer = signerOf('trainer');
  const one = known({ wrap: no('blocked: kind') });
  await keepKnowledge(home, [{ ...one, url: poor, triedAtSec: Math.floor(Date.now() / 1000), by: signer.pubkey }]);
  await home.writeFile('key', `${Buffer.from(secretOf('trainer')).toString('hex')}\n`);
  const tags = await withContext({ cwd, options: { home: home.dir, relay: [good, poor] } }, async (context) => {
    const ports = await customerPorts(context);
    const relays = await inboxRelays(context, ports);
    expect(relays.urls).toEqual([good, poor]);
    const { events } = await relays.fetch([{ kinds: [10_002, 10_050], authors: [signer.pubkey] }]);
    return events.map((event) => [event.kind, ...event.tags.map(([, value]) => value)]).sort();
  });
  expect(tags).toEqual([
    [10_002, good, poor, 'nmkt'],
    [10_050, good, 'nmkt'],
  ]);
});

describe('a command that publishes', () => {
  const iris = resolve('examples/iris.csv');
  const publish = (cwd: string, relay: readonly string[]) =>
    callCommand('publish-dataset', {
      cwd,
      args: [iris],
      options: { home: homeOf(cwd), relay, label: 'species', backup: false },
    });
  const asked = async (cwd: string, relay: readonly string[]) => {
    await openHome(homeOf(cwd)).writeFile('key', `${'11'.repeat(32)}\n`);
    await withContext({ cwd, options: { home: homeOf(cwd), relay } }, (context) =>
      checkRelays(context, relay, { isWriting: true, isFresh: false }),
    );
  };

  it('refuses early where every relay is known to want work, and says what to do', async () => {
    const cwd = temporaryFolder();
    const relay = await strictRelay({ onEvent: pow });
    await asked(cwd, [relay.url]);
    const written = relay.written.length;
    await expect(publish(cwd, [relay.url])).rejects.toMatchObject({
      code: 'relay-refused',
      got: `${relay.url}: it wants 28 bits of proof of work`,
      remedy: expect.stringContaining('nmkt doctor --fresh'),
    });
    expect(relay.written.length).toBe(written);
  });

  it('posts a job, and warns, where no relay is known to take a larger model', async () => {
    const cwd = temporaryFolder();
    const home = openHome(homeOf(cwd));
    const nowSec = Math.floor(Date.now() / 1000);
    const small = known({ chunk: no('invalid: too large'), takenBytes: 300, refusedBytes: 400 });
    const relay = ['wss://a.example', 'wss://b.example'];
    await keepKnowledge(
      home,
      relay.map((url) => ({ ...small, url, triedAtSec: nowSec })),
    );
    const said = await withContext({ cwd, options: { home: home.dir, relay } }, async (context, words) => {
      await requireFitRelays(context, 'jobs');
      await expect(requireFitRelays(context, 'data')).rejects.toMatchObject({ code: 'relay-refused' });
      return words.join();
    });
    expect(said).toMatch(/models of more than 24,000 bytes: wss:\/\/a.example: .*; wss:\/\/b.example: /);
  });

  it('warns where one of two is, and publishes', async () => {
    const cwd = temporaryFolder();
    const [good, small] = [await relayWith([]), await strictRelay({ maxPayload: 30_000 })];
    await asked(cwd, [good, small.url]);
    const { said, value } = await publish(cwd, [good, small.url]);
    expect(said.join('\n')).toMatch(new RegExp(`${small.url}: it takes events up to \\d+ to \\d+ bytes`));
    expect((value as { chunks: number }).chunks).toBeGreaterThan(0);
  });
});
