import { expect, it } from 'vitest';
import { offerOf } from '../../src/commands/trainer-offer.js';
import { readBounds } from '../../src/commands/trainer-bounds.js';
import { formatPubkey } from '../../src/config/identifiers.js';
import { buildOffer } from '../../src/protocol/offer.js';
import { OFFER_SEC } from '../../src/roles/offers.js';
import { signEvent } from '../../src/schnorr.js';
import { customer, ENGINE, person, people, scriptJob } from '../support/job-script.js';
import { finished, runNmkt, startNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const now = Math.floor(Date.now() / 1_000);
const plain = offerOf(readBounds({ price: '20' }, 'sandbox'), ENGINE, 5_000, ['wss://relay.example']);
const offerBy = ({ secret }: { readonly secret: Uint8Array }) =>
  signEvent(buildOffer({ ...plain, expires: now + OFFER_SEC }, now), secret);

const paid = scriptJob({ rounds: 2 });
const lazy = scriptJob({ rounds: 1, terms: { title: 'lazy' }, alter: { 'commit/0/1': () => null } });
const [worker, absent] = people as [(typeof people)[0], (typeof people)[0]];
const stranger = person('of whom nobody heard');

it('rates whoever offers, as nmkt rating does, and finds by rating', async () => {
  const relay = await relayWith([...paid.events, ...lazy.events, ...[worker, absent, stranger].map(offerBy)]);
  const trust = ['--trust', formatPubkey(customer.pubkey)];
  const json = async <T>(...words: readonly string[]): Promise<T> => {
    const { status, stdout, stderr } = await runNmkt([...words, '--relay', relay, '--json']);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as T;
  };
  type Offers = { readonly offers: readonly { readonly key: string; readonly rating: number | null }[] };
  const { offers } = await json<Offers>('offers', ...trust);
  const ratings = new Map(offers.map(({ key, rating }) => [key, rating]));
  expect(ratings.get(stranger.pubkey)).toBe(0);
  expect(ratings.get(worker.pubkey)).toBeGreaterThan(ratings.get(absent.pubkey)!);
  const { keys } = await json<{ keys: { trainer: { rating: number } }[] }>(
    ...(['rating', formatPubkey(worker.pubkey), ...trust] as const),
  );
  expect(ratings.get(worker.pubkey)).toBeCloseTo(keys[0]!.trainer.rating, 5);

  const least = String(ratings.get(worker.pubkey)! - 0.001);
  const found = await json<Offers>('offers', ...trust, '--min-rating', least);
  expect(found.offers.map(({ key }) => key)).toEqual([worker.pubkey]);
  const unrated = await json<Offers>('offers', '--no-rating');
  expect(unrated.offers.map(({ rating }) => rating)).toEqual([null, null, null]);
  const { stdout } = await runNmkt(['offers', '--relay', relay, ...trust]);
  expect(stdout).toMatch(/^key .* models +rating$/m);
  expect(stdout).toMatch(/ 0\.00$/m);
});

it('does not search by what it was told not to ask', async () => {
  const { status, stdout } = await runNmkt(['offers', '--no-rating', '--min-rating', '1', '--json']);
  expect([status, JSON.parse(stdout)]).toMatchObject([2, { error: { remedy: 'leave out --no-rating' } }]);
});

it('finds what serve-trainer publishes', async () => {
  const relay = await relayWith([]);
  const cwd = temporaryFolder();
  const serve = ['serve-trainer', '--price', '20', '--relay', relay, '--home', 't', '--json'];
  const child = startNmkt(serve, { cwd });
  const ended = finished(child);
  await new Promise<void>((done) => {
    child.stderr!.on('data', (text: Buffer | string) => String(text).includes('published an offer') && done());
  });
  const { stdout } = await runNmkt(['offers', '--relay', relay, '--json']);
  child.kill('SIGTERM');
  const { stdout: told } = await ended;
  const ready = JSON.parse(told.split('\n')[0]!) as { event: string; pubkey: string; engine: string };
  const { offers } = JSON.parse(stdout) as { offers: readonly Record<string, unknown>[] };
  expect(offers).toHaveLength(1);
  expect(offers[0]).toMatchObject({
    ...{ key: ready.pubkey, role: 'trainer', engine: ready.engine, leastMsat: 20_000, rating: 0, relays: [relay] },
  });
  expect(offers[0]!['throughput']).toBeGreaterThan(0);
});
