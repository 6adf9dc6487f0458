import { copyFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { formatPubkey } from '../../src/config/identifiers.js';
import type { EventId } from '../../src/hash.js';
import { BID } from '../../src/protocol/bid.js';
import { signEvent } from '../../src/schnorr.js';
import { ENGINE, people, type Person } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { poolForTest, relayForTest } from '../relay/samples.js';

/** A customer's home, its relay, and three bids: `nmkt award` through the real binary. */

const nowSec = () => Math.floor(Date.now() / 1_000);

interface Award {
  readonly award: string | null;
  readonly bids: readonly { readonly bid: string; readonly outcome: string; readonly rule?: string }[];
}
const outcomes = ({ bids }: Award) => Object.fromEntries(bids.map(({ bid, outcome, rule }) => [bid, rule ?? outcome]));

function bidBy({ secret }: Person, job: EventId) {
  const content = { priceMsat: 0n, capacity: 1, engine: ENGINE, throughput: 0, expires: nowSec() + 3_600 };
  return signEvent(BID.build({ job, seq: 0, prev: null }, content, nowSec()), secret);
}

it('shows what bids would win, refuses a blocked key by name, awards once to whom it is told, and the audit recounts it', async () => {
  const cwd = temporaryFolder();
  const { url } = await relayForTest();
  const run = (words: readonly string[], home = 'c') =>
    runNmkt([...words, '--home', home, '--relay', url, '--json'], { cwd });
  const nmkt = async <T>(words: readonly string[], home?: string): Promise<T> => {
    const { status, stdout, stderr } = await run(words, home);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as T;
  };
  copyFileSync(resolve('examples/iris.csv'), join(cwd, 'iris.csv'));
  const data = ['publish-dataset', 'iris.csv', '--label', 'species', '--shards', '2'];
  const { snapshot } = await nmkt<{ snapshot: string }>(data);
  const terms = ['--rail', 'none', '--max-price-sats', '0', '--verification', 'floor', '--award', 'manual'];
  const block = ['--block', formatPubkey(people[2]!.pubkey)];
  const { job } = await nmkt<{ job: EventId }>(['post-job', '--dataset', snapshot, ...terms, ...block]);
  const pool = poolForTest([url]);
  const made = people.slice(0, 3).map((who) => bidBy(who, job));
  for (const bid of made) expect((await pool.publish(bid)).map(({ state }) => state)).toEqual(['stored']);
  const [first, second, third] = made.map(({ id }) => id) as unknown as [string, string, string];

  const shown = await nmkt<Award>(['award', job]);
  expect([shown.award, outcomes(shown)]).toEqual([null, { [first]: 'spare', [second]: 'spare', [third]: 'blocked' }]);
  const dry = await nmkt<Award>(['award', job, '--bid', second, '--dry-run']);
  expect([dry.award, outcomes(dry)[second]]).toEqual([null, 'won']);
  const refused = await run(['award', job, '--bid', third]);
  expect([refused.status, JSON.parse(refused.stdout)]).toMatchObject([2, { error: { code: 'bad-usage' } }]);

  const award = await nmkt<Award>(['award', job, '--bid', second, '--bid', first]);
  expect(award.award).toMatch(/^[0-9a-f]{64}$/);
  expect(outcomes(award)).toEqual({ [first]: 'won', [second]: 'won', [third]: 'blocked' });
  expect(await nmkt<Award>(['award', job, '--bid', first])).toEqual(award);
  expect(await nmkt(['audit', job], 'stranger')).toMatchObject({ verdict: 'PASS', awardedBy: 'customer' });
});
