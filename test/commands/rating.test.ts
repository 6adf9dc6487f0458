import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { formatPubkey } from '../../src/config/identifiers.js';
import { followedKeys } from '../../src/protocol/follow-list.js';
import { signEvent } from '../../src/schnorr.js';
import { customer, people, person, scriptJob } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

interface Rated {
  readonly key: string;
  readonly trainer: Readonly<Record<string, number>>;
  readonly customer: Readonly<Record<string, number>>;
}
const paid = scriptJob({ rounds: 2 });
const lazy = scriptJob({ rounds: 1, terms: { title: 'lazy' }, alter: { 'commit/0/1': () => null } });
const reader = person('reader');
const follows = signEvent(
  {
    kind: 3,
    created_at: 1_760_000_000,
    tags: [
      ['p', customer.pubkey],
      ['p', 'nobody'],
    ],
    content: '',
  },
  reader.secret,
);
const npub = formatPubkey(people[1]!.pubkey);
const events = [...paid.events, ...lazy.events, follows];

it('rates a trainer with the eyes of a reader, equal in every home and from a file; strangers count a twentieth', async () => {
  const relay = await relayWith(events);
  const rating = async (...words: readonly string[]) => {
    const { status, stdout, stderr } = await runNmkt([
      'rating',
      '--json',
      '--home',
      join(temporaryFolder(), 'h'),
      ...words,
    ]);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as { trusted: number; jobs: number; keys: Rated[] };
  };
  const seen = await rating(npub, '--relay', relay, '--as', formatPubkey(reader.pubkey));
  expect(seen).toMatchObject({
    ...{ network: 'sandbox', trusted: 2, jobs: 2 },
    keys: [{ key: people[1]!.pubkey, npub, trainer: { matches: 3, weight: 3, done: 2, absent: 1, rejected: 0 } }],
  });
  expect(seen.keys[0]!.trainer['sigma']).toBeLessThan(8);
  const named = await rating(npub, '--relay', relay, '--trust', formatPubkey(customer.pubkey));
  expect(named.keys).toEqual(seen.keys);
  const strangers = await rating(npub, '--relay', relay);
  expect(strangers.keys[0]!.trainer).toMatchObject({ matches: 3, weight: 0.15 });

  const dump = join(temporaryFolder(), 'events.ndjson');
  writeFileSync(dump, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  const as = formatPubkey(reader.pubkey);
  expect(await rating(npub, '--from-dump', dump, '--as', as)).toEqual(seen);
  const all = await rating('--all', '--from-dump', dump, '--as', as);
  expect(all.keys.map(({ key }) => key)).toEqual([customer, ...people.slice(0, 3)].map(({ pubkey }) => pubkey).sort());
  expect(all.keys.find(({ key }) => key === people[1]!.pubkey)).toEqual(seen.keys[0]);
  expect(all.keys.find(({ key }) => key === customer.pubkey)!.customer).toMatchObject({ matches: 8, weight: 0.4 });
});

it('follows keys only, each once', () => {
  const key = people[0]!.pubkey;
  expect(
    followedKeys({ tags: [['p', key], ['e', key], ['p', key, 'wss://relay.example'], ['p'], ['p', 'npub1x']] }),
  ).toEqual(new Set([key]));
});
