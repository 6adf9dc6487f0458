import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { systemClock } from '../../src/config/clock.js';
import type { NostrEvent } from '../../src/ports.js';
import { probeRelay } from '../../src/relay/probe.js';
import { RawClient, relayForTest, seededRandom, signerOf } from './samples.js';

const now = () => Math.floor(Date.now() / 1000);
const probe = (url: string, isWriting = true, timeoutMs = 300) =>
  probeRelay(url, {
    ...{ signer: signerOf('doctor'), oneTime: signerOf('one time'), random: seededRandom('probe') },
    ...{ clock: { ...systemClock, wait: async () => undefined }, isWriting, timeoutMs },
  });

interface Faults {
  /** The answer to an event: text refuses, undefined stores, null says nothing. */
  readonly onEvent?: (event: NostrEvent, loggedIn: boolean) => string | undefined | null;
  readonly forgets?: (event: NostrEvent) => boolean;
  readonly challenges?: boolean;
  readonly login?: boolean;
  readonly maxPayload?: number;
  readonly onRequest?: (loggedIn: boolean) => string | undefined;
  readonly date?: string;
  /** Refuses without the id of the event. */
  readonly isNameless?: boolean;
}

/** A relay of a few lines, and what it was sent. */
async function faultyRelay(faults: Faults): Promise<{ readonly url: string; readonly written: NostrEvent[] }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: faults.maxPayload ?? 1e6 });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  if (faults.date !== undefined) server.on('headers', (headers) => headers.push(`Date: ${faults.date}`));
  const written: NostrEvent[] = [];
  const kept: NostrEvent[] = [];
  server.on('connection', (socket: WebSocket) => {
    let loggedIn = false;
    const live = new Map<string, readonly string[]>();
    const say = (...message: unknown[]) => socket.send(JSON.stringify(message));
    if (faults.challenges) say('AUTH', 'who are you');
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      const [verb, first, filter] = JSON.parse(data.toString()) as [string, never, { ids?: string[] }];
      if (verb === 'AUTH') {
        loggedIn = faults.login === true;
        return say('OK', (first as NostrEvent).id, loggedIn, loggedIn ? '' : 'restricted: not you');
      }
      if (verb === 'REQ') {
        const problem = faults.onRequest?.(loggedIn);
        if (problem !== undefined) return say('CLOSED', first, problem);
        for (const event of kept) if (filter.ids?.includes(event.id)) say('EVENT', first, event);
        live.set(first, filter.ids ?? []);
        return say('EOSE', first);
      }
      if (verb !== 'EVENT') return undefined;
      const event = first as NostrEvent;
      written.push(event);
      const answer = faults.onEvent?.(event, loggedIn);
      if (answer === null) return undefined;
      if (answer === undefined && !faults.forgets?.(event)) {
        if (event.kind < 20_000 || event.kind >= 30_000) kept.push(event);
        for (const [name, ids] of live) if (ids.includes(event.id)) say('EVENT', name, event);
      }
      const named = answer !== undefined && faults.isNameless ? '' : event.id;
      return say('OK', named, answer === undefined, answer ?? '');
    });
  });
  await new Promise((listening) => server.once('listening', listening));
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, written };
}

it('finds nothing wrong with the embedded relay, and leaves nothing there', async () => {
  const { url } = await relayForTest({ nowSec: now });
  const { problem, steps, auth, slower, readProblem } = await probe(url, true, 5_000);
  expect({ problem, slower, readProblem }).toEqual({ problem: null, slower: null, readProblem: null });
  expect(auth).toBe('accepted'); // it demands a login of who reads gift wraps
  expect(Object.values(steps!).map(({ state, isBack }) => [state, isBack])).toEqual(Array(4).fill(['stored', true]));
  const client = await RawClient.connect(url);
  client.send('REQ', 'all', { kinds: [4621, 30078, 24620] });
  expect(await client.next('EOSE', 'all')).toEqual(['EOSE', 'all']);
  client.send('REQ', 'deletions', { kinds: [5] });
  expect((await client.next('EVENT', 'deletions'))[1]).toBe('deletions');
});

it('writes nothing when it may not', async () => {
  const { url, written } = await faultyRelay({ challenges: true });
  expect(await probe(url, false)).toMatchObject({ problem: null, steps: null, auth: 'offered', readProblem: null });
  expect(written).toEqual([]);
});

it('says when reading alone demands a login, and does not try it', async () => {
  const { url } = await faultyRelay({ challenges: true, onRequest: () => 'auth-required: members' });
  expect(await probe(url, false)).toMatchObject({ auth: 'demanded', readProblem: 'auth-required: members' });
});

it('writes a chunk of full size, all of it to expire in a minute', async () => {
  const { url, written } = await faultyRelay({});
  await probe(url);
  const chunk = written.find(({ kind }) => kind === 4621)!;
  expect(JSON.stringify(['EVENT', chunk]).length).toBeGreaterThanOrEqual(64_412);
  for (const { kind, tags, created_at } of written) {
    const end = tags.find(([name]) => name === 'expiration')?.[1];
    if (kind !== 5) expect(Number(end) - created_at).toBe(60);
  }
  expect(written.filter(({ kind }) => kind === 5).map(({ tags }) => tags[0]![0])).toEqual(['e', 'e', 'e']);
});

it.each<[string, Faults, object]>([
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
  expect((await probe((await faultyRelay(faults)).url)).steps).toMatchObject(expected);
});

it('logs in where a relay demands it, and says whether it was let in', async () => {
  const onEvent = (_event: NostrEvent, loggedIn: boolean) => (loggedIn ? undefined : 'auth-required: log in');
  const kind = await faultyRelay({ challenges: true, login: true, onEvent });
  expect(await probe(kind.url)).toMatchObject({ auth: 'accepted', steps: { event: { isBack: true } } });
  const strict = await faultyRelay({ challenges: true, login: false, onEvent });
  expect(await probe(strict.url)).toMatchObject({ auth: 'refused', steps: { event: { state: 'refused' } } });
  const mute = await faultyRelay({ onEvent });
  expect(await probe(mute.url)).toMatchObject({ auth: 'refused' });
});

it('sees that it is asked to go slower, and waits once', async () => {
  let events = 0;
  const onEvent = () => (++events === 1 ? 'rate-limited: calm down' : undefined);
  expect(await probe((await faultyRelay({ onEvent })).url)).toMatchObject({
    slower: 'rate-limited: calm down',
    steps: { event: { state: 'stored', isBack: true } },
  });
});

it('reads the clock of the upgrade', async () => {
  const { url } = await faultyRelay({ date: new Date(Date.now() - 3_600_000).toUTCString() });
  const { clockAheadSec } = await probe(url, false);
  expect(Math.round(clockAheadSec! / 10)).toBe(-360);
});

it('says why there is no connection', async () => {
  expect(await probe('ws://127.0.0.1:9')).toMatchObject({ problem: 'ECONNREFUSED', steps: null });
});
