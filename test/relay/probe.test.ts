import { expect, it } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import type { NostrEvent } from '../../src/ports.js';
import { PROBE_STEPS, probeRelay } from '../../src/relay/probe.js';
import { strictRelay, type Strictness } from '../support/faults/strict-relay.js';
import { RawClient, relayForTest, seededRandom, signerOf } from './samples.js';

const now = () => Math.floor(Date.now() / 1000);
const probe = (url: string, isWriting = true, timeoutMs = 300) =>
  probeRelay(url, {
    ...{ signer: signerOf('doctor'), oneTime: signerOf('one time'), stranger: signerOf('stranger') },
    random: seededRandom('probe'),
    ...{ clock: { ...systemClock, wait: async () => undefined }, isWriting, timeoutMs },
  });

/** An asymmetric matcher of whole numbers. */
const within = (from: number, to: number) =>
  expect.toSatisfy((value: number) => value >= from && value <= to, `from ${from} to ${to}`) as number;

it('finds nothing wrong with the embedded relay, and leaves nothing there', async () => {
  const { url } = await relayForTest({ nowSec: now });
  const { problem, steps, auth, slower, readProblem } = await probe(url, true, 5_000);
  expect({ problem, slower, readProblem }).toEqual({ problem: null, slower: null, readProblem: null });
  expect(auth).toBe('accepted'); // it demands a login of who reads gift wraps
  expect(PROBE_STEPS.map((name) => [steps![name].state, steps![name].isBack])).toEqual(Array(6).fill(['stored', true]));
  const { burst, takenBytes, refusedBytes, deletion, loginToRead, loginToWrite } = steps!;
  expect(burst).toMatchObject({ sent: 16, stored: 16, message: '', isTakenLater: null });
  expect({ takenBytes, refusedBytes, deletion }).toEqual({
    takenBytes: 64_412,
    refusedBytes: null,
    deletion: 'honoured',
  });
  expect({ loginToRead, loginToWrite }).toEqual({ loginToRead: true, loginToWrite: false });
  const client = await RawClient.connect(url);
  client.send('REQ', 'all', { kinds: [4621, 30078, 24620] });
  expect(await client.next('EOSE', 'all')).toEqual(['EOSE', 'all']);
  client.send('REQ', 'deletions', { kinds: [5] });
  expect((await client.next('EVENT', 'deletions'))[1]).toBe('deletions');
});

it('writes nothing when it may not', async () => {
  const { url, written } = await strictRelay({ challenges: true });
  expect(await probe(url, false)).toMatchObject({ problem: null, steps: null, auth: 'offered', readProblem: null });
  expect(written).toEqual([]);
});

it('says when reading alone demands a login, and does not try it', async () => {
  const { url } = await strictRelay({ challenges: true, onRequest: () => 'auth-required: members' });
  expect(await probe(url, false)).toMatchObject({ auth: 'demanded', readProblem: 'auth-required: members' });
});

it('writes a chunk of full size, all of it to expire in a minute', async () => {
  const { url, written } = await strictRelay({});
  await probe(url);
  const chunk = written.find(({ kind, content }) => kind === 4621 && content.length > 1_000)!;
  expect(JSON.stringify(['EVENT', chunk]).length).toBeGreaterThanOrEqual(64_412);
  for (const { kind, tags, created_at } of written) {
    const end = tags.find(([name]) => name === 'expiration')?.[1];
    if (kind !== 5) expect(Number(end) - created_at).toBe(60);
  }
  // The chunk and the burst are of a key of one use, which also asks for their deletion.
  const deletions = written.filter(({ kind }) => kind === 5);
  const named = deletions.flatMap(({ pubkey, tags }) =>
    tags.filter(([tag]) => tag === 'e').map(([, id]) => [id, pubkey]),
  );
  const stored = written.filter(({ kind }) => kind !== 5 && kind !== 24620);
  expect(new Map(named as [string, string][])).toEqual(new Map(stored.map(({ id, pubkey }) => [id, pubkey])));
  expect(chunk.pubkey).toBe(signerOf('one time').pubkey);
});

it('reads back what it wrote over another connection than it wrote it', async () => {
  let writers = 0;
  const { url, connections } = await strictRelay({ onEvent: () => void writers++ });
  await probe(url);
  expect(connections()).toBe(3); // to write, to read back, and the stranger's
  expect(writers).toBeGreaterThan(16);
});

it.each<[string, Strictness, object]>([
  ['keeps to NIP-09', { deletes: true }, { deletion: 'honoured' }],
  ['ignores deletions', {}, { deletion: 'ignored' }],
  ['refuses deletions', { onEvent: ({ kind }) => (kind === 5 ? 'blocked: kind' : undefined) }, { deletion: 'refused' }],
  [
    'takes 20 KB at most',
    { onEvent: (event) => (JSON.stringify(event).length > 20_000 ? 'invalid: event too large' : undefined) },
    { takenBytes: within(16_000, 20_000), refusedBytes: within(20_000, 24_500), chunk: { state: 'refused' } },
  ],
  [
    'hangs up on more than 40 KB',
    { maxPayload: 40_000 },
    { takenBytes: within(36_000, 40_000), refusedBytes: within(40_000, 44_500), burst: { stored: 16 } },
  ],
  [
    'wants work',
    { onEvent: ({ kind }) => (kind === 4621 ? 'pow: 28 bits needed. (0)' : undefined) },
    { takenBytes: null, refusedBytes: null, burst: { stored: 0, message: 'pow: 28 bits needed. (0)' } },
  ],
  [
    'takes what known keys sign alone',
    { onEvent: ({ pubkey }) => (pubkey === signerOf('doctor').pubkey ? undefined : 'restricted: members') },
    { event: { isBack: true }, regular: { isBack: true }, chunk: { state: 'refused' }, burst: { stored: 0 } },
  ],
  [
    'takes no wraps for others',
    {
      onEvent: ({ kind, tags }) =>
        kind === 1059 && tags[0]![1] !== signerOf('doctor').pubkey ? 'blocked: not here' : undefined,
    },
    { wrap: { isBack: true }, strange: { state: 'refused', message: 'blocked: not here' } },
  ],
])('measures a relay that %s', async (_, faults, expected) => {
  expect((await probe((await strictRelay(faults)).url)).steps).toMatchObject(expected);
});

it('counts how many events at once a relay takes, and whether it takes more a second later', async () => {
  let small = 0;
  const onEvent = ({ kind, content }: NostrEvent) =>
    kind === 4621 && content.length < 1_000 && ++small > 5 && small <= 16 ? 'rate-limited: 5 at once' : undefined;
  const { steps, slower } = await probe((await strictRelay({ onEvent })).url);
  expect(steps!.burst).toMatchObject({ sent: 16, stored: 5, message: 'rate-limited: 5 at once', isTakenLater: true });
  expect(slower).toBe('rate-limited: 5 at once');
});

it('tells where a login is demanded, to read or to write', async () => {
  const members = 'auth-required: members';
  const writing = await strictRelay({
    challenges: true,
    login: true,
    onEvent: (_, isIn) => (isIn ? undefined : members),
  });
  const toWrite = (await probe(writing.url)).steps!;
  expect([toWrite.loginToRead, toWrite.loginToWrite, toWrite.chunk.isBack]).toEqual([false, true, true]);
  const reading = await strictRelay({
    challenges: true,
    login: true,
    onRequest: (isIn) => (isIn ? undefined : members),
  });
  const toRead = (await probe(reading.url)).steps!;
  expect([toRead.loginToRead, toRead.loginToWrite, toRead.chunk.isBack]).toEqual([true, false, true]);
});

it.each<[string, Strictness, object]>([
  [
    'refuses large events',
    { onEvent: ({ content }) => (content.length > 40_000 ? 'invalid: too large' : undefined) },
    { chunk: { state: 'refused', message: 'invalid: too large' }, event: { state: 'stored', isBack: true } },
  ],
  [
    'refuses large events without their id',
    { isNameless: true, onEvent: ({ content }) => (content.length > 40_000 ? 'invalid: too large' : undefined) },
    { chunk: { state: 'silent', message: 'no answer in 300 ms; it said: invalid: too large' } },
  ],
  [
    'ends the connection at large messages',
    { maxPayload: 40_000 },
    { chunk: { state: 'silent', message: 'it closed the connection (1009)' }, wrap: { isBack: true } },
  ],
  [
    'refuses gift wraps',
    { onEvent: ({ kind }) => (kind === 1059 ? 'blocked: kind' : undefined) },
    { wrap: { state: 'refused', message: 'blocked: kind' }, chunk: { isBack: true } },
  ],
  [
    'takes gift wraps and hides them',
    { forgets: ({ kind }) => kind === 1059 },
    { wrap: { state: 'stored', isBack: false }, event: { isBack: true } },
  ],
  [
    'passes nothing on',
    { forgets: ({ kind }) => kind === 24620 },
    { ephemeral: { state: 'stored', isBack: false }, chunk: { isBack: true } },
  ],
  [
    'refuses the time',
    { onEvent: () => 'invalid: created_at too far in the future' },
    { event: { state: 'refused', message: 'invalid: created_at too far in the future' } },
  ],
  ['says nothing to events', { onEvent: () => null }, { event: { state: 'silent', message: 'no answer in 300 ms' } }],
])('sees a relay that %s', async (_, faults, expected) => {
  expect((await probe((await strictRelay(faults)).url)).steps).toMatchObject(expected);
});

it('logs in where a relay demands it, and says whether it was let in', async () => {
  const onEvent = (_event: NostrEvent, loggedIn: boolean) => (loggedIn ? undefined : 'auth-required: log in');
  const kind = await strictRelay({ challenges: true, login: true, onEvent });
  expect(await probe(kind.url)).toMatchObject({ auth: 'accepted', steps: { event: { isBack: true } } });
  const strict = await strictRelay({ challenges: true, login: false, onEvent });
  expect(await probe(strict.url)).toMatchObject({ auth: 'refused', steps: { event: { state: 'refused' } } });
  const mute = await strictRelay({ onEvent });
  expect(await probe(mute.url)).toMatchObject({ auth: 'refused' });
});

it('sees that it is asked to go slower, and waits once', async () => {
  let events = 0;
  const onEvent = () => (++events === 1 ? 'rate-limited: calm down' : undefined);
  expect(await probe((await strictRelay({ onEvent })).url)).toMatchObject({
    slower: 'rate-limited: calm down',
    steps: { event: { state: 'stored', isBack: true } },
  });
});

it('reads the clock of the upgrade', async () => {
  const { url } = await strictRelay({ date: new Date(Date.now() - 3_600_000).toUTCString() });
  const { clockAheadSec } = await probe(url, false);
  expect(Math.round(clockAheadSec! / 10)).toBe(-360);
});

it('says why there is no connection', async () => {
  expect(await probe('ws://127.0.0.1:9')).toMatchObject({ problem: 'ECONNREFUSED', steps: null });
});
