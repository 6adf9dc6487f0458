import { describe, expect, it } from 'vitest';
import { offerOf } from '../../src/commands/trainer-offer.js';
import { readBounds } from '../../src/commands/trainer-bounds.js';
import type { NostrEvent } from '../../src/ports.js';
import { buildOffer, HANDLER, parseOffer, type OfferContent } from '../../src/protocol/offer.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { localSigner } from '../../src/signer.js';
import { currentOffers, fetchOffers, keepOffer, OFFER_SEC, type OfferSearch } from '../../src/roles/offers.js';
import { signEvent } from '../../src/schnorr.js';
import { runNmkt } from '../support/run-nmkt.js';
import { relayWith } from '../commands/scripted-relay.js';
import { ENGINE, START_SEC, people } from '../support/job-script.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { virtualClock } from '../support/virtual-clock.js';

const plain = offerOf(readBounds({ price: '20' }, 'sandbox'), ENGINE, 5_000, ['wss://relay.example']);
const offer = (who: number, change: Partial<OfferContent> = {}, at = START_SEC): NostrEvent =>
  signEvent(buildOffer({ ...plain, expires: at + OFFER_SEC, ...change }, at), people[who]!.secret);
const found = (events: readonly NostrEvent[], search: OfferSearch = {}, now = START_SEC + 1) =>
  currentOffers(events, search, now).map(({ author }) => people.findIndex(({ pubkey }) => pubkey === author));

describe('a search for offers', () => {
  const all = [
    offer(0),
    offer(1, { leastMsat: 10_000n, models: ['gpt'], maxParams: 1_000 }),
    offer(2, { throughput: 9_000, engine: 'cpu/1/2/3' as never }),
    offer(3, { role: 'validator', network: 'bitcoin' }),
  ];

  it.each<[string, OfferSearch, number[]]>([
    ['nothing', {}, [1, 2, 0, 3]], // cheapest first, then fastest, then by key
    ['a role', { role: 'validator' }, [3]],
    ['a network', { network: 'sandbox' }, [1, 2, 0]],
    ['a rung', { engine: 'cpu' }, [2]],
    ['a part of a rung', { engine: 'cp' }, []],
    ['a whole engine id', { engine: ENGINE }, [1, 0, 3]],
    ['a model', { model: 'gpt', role: 'trainer' }, [1, 2, 0]],
    ['a model that one lacks', { model: 'mlp', role: 'trainer' }, [2, 0]],
    ['a size', { params: 1_001 }, [2, 0, 3]],
    ['a price', { maxMsat: 10_000n }, [1]],
    ['a speed', { throughput: 5_001 }, [2]],
  ])('by %s', (_what, search, expected) => {
    expect(found(all, search)).toEqual(expected);
    expect(found([...all].reverse(), search)).toEqual(expected);
  });

  it('takes the newest of a key, and none that is over or malformed', () => {
    const newer = offer(0, { leastMsat: 1n, throughput: 7 }, START_SEC + 9);
    expect(currentOffers([newer, ...all], {}, START_SEC + 10)[0]!.content.leastMsat).toBe(1n);
    expect(found(all, {}, START_SEC + OFFER_SEC)).toEqual([]);
    const broken = signEvent({ ...all[0]!, content: '{}' }, people[0]!.secret);
    expect(found([broken])).toEqual([]);
  });
});

it('the price policy of a trainer is in its offer', () => {
  const bounds = readBounds({ price: '20', pricePerGflop: '0.5', pricePerJob: '25', maxMinutes: '0.5' }, 'sandbox');
  expect(offerOf(bounds, ENGINE, 1, Array<string>(9).fill('wss://relay.example'))).toMatchObject({
    ...{ leastMsat: 20_000n, tflopMsat: 500_000n, perJobPpm: 250_000, maxSeconds: 30 },
    relays: Array<string>(8).fill('wss://relay.example'),
  });
});

it('an offer is renewed before it expires, until the trainer stops, and a silent relay ends nothing', async () => {
  const clock = virtualClock(START_SEC);
  const network = memoryNetwork(undefined, (ms) => clock.wait(ms));
  const warned: string[] = [];
  const progress = { start() {}, update() {}, done() {}, note() {}, warn: (line: string) => void warned.push(line) };
  const relays = network.relays();
  let calls = 0;
  const flaky = {
    ...relays,
    publish: async (event: NostrEvent) => {
      if (calls++ === 2) throw new Error('the cable is out');
      return relays.publish(event);
    },
  };
  const stop = new AbortController();
  const kept = keepOffer(
    { relays: flaky, signer: localSigner(people[0]!.secret), clock, progress },
    plain,
    stop.signal,
  );
  await clock.wait(3 * 3_600_000);
  stop.abort();
  await kept.catch(() => undefined);
  const { events, answered } = await fetchOffers(relays, 'trainer');
  expect(answered).toHaveLength(relays.urls.length);
  expect(currentOffers(events, {}, clock.nowSec())).toHaveLength(1);
  const made = network.events().filter(({ kind }) => kind === KINDS.offer);
  expect(parseOffer(made.at(-1)!).createdAt).toBe(START_SEC + 9_000);
  expect(network.events().filter(({ kind }) => kind === HANDLER)).toHaveLength(1);
  expect(warned).toEqual(['the offer is not published: the cable is out; again in 50 minutes']);
});

it('nmkt offers shows them as a table and as JSON', async () => {
  const now = Math.floor(Date.now() / 1_000);
  const url = await relayWith([offer(0, {}, now), offer(1, { perJobPpm: 250_000, tflopMsat: 12_000_000n }, now)]);
  const run = (...more: string[]) => runNmkt(['offers', '--relay', url, ...more]);
  const { status, stdout, stderr } = await run('--json', '--model', 'mlp');
  expect(status, stderr).toBe(0);
  const { offers } = JSON.parse(stdout) as { offers: Record<string, unknown>[] };
  expect(offers).toHaveLength(2);
  expect(offers[0]).toMatchObject({ role: 'trainer', leastMsat: 20_000, throughput: 5_000, engine: ENGINE });
  const table = await run();
  expect(table.stdout).toContain('20 sat, 12 sat/GFLOP, +25 % a job');
  expect((await run('--max-price-sats', '1')).stdout).toBe('');
});
