import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import { parseJobEvent, type EventOf } from '../../src/protocol/events.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { poolForTest } from '../relay/samples.js';
import { people, PRICE_MSAT, scriptJob, type ScriptOptions } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const LATER = 4_000_000_000;

/** A job on a relay up to some step, and the home of one of its trainers. */
async function market(options: ScriptOptions, who = people[1]!) {
  const script = scriptJob({ ...options, terms: { deadline: LATER, ...options.terms } });
  const url = await relayWith(script.events);
  const home = join(temporaryFolder(), 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'key'), hex(who.secret), { mode: 0o600 });
  const resign = (...more: string[]) =>
    runNmkt(['resign', script.jobId, '--relay', url, '--home', home, '--json', ...more]);
  const resignations = async () => {
    const { events } = await poolForTest([url]).fetch([{ kinds: [KINDS.notice], authors: [who.pubkey] }]);
    return events
      .map((event) => parseJobEvent(event))
      .filter((event): event is EventOf<'resign'> => event.type === 'resign');
  };
  return { script, url, home, resign, resignations };
}

describe('nmkt resign', () => {
  it('publishes one resignation, links it to the own chain, and finds it again', async () => {
    const { script, resign, resignations } = await market({ until: 'open/1', alter: { 'receipt/0/1': () => null } });
    const first = await resign('--reason', 'moving house');
    expect(first.status, first.stderr).toBe(0);
    const [made] = await resignations();
    expect(JSON.parse(first.stdout)).toEqual({
      ...{ job: script.jobId, resign: made!.id, reason: 'moving house' },
      ...{ rounds: 1, paidMsat: 0, owedMsat: Number(PRICE_MSAT) },
    });
    expect(made).toMatchObject({ prev: script.raw('claim/0/1').id, content: { reason: 'moving house' } });
    expect(first.stderr).toContain(`next: nmkt serve-trainer --job ${script.jobId}`);
    const second = await resign('--reason', 'something else');
    expect([second.status, second.stdout]).toEqual([0, first.stdout]);
    expect(second.stderr).toContain('this trainer resigned before');
    expect(await resignations()).toHaveLength(1);
  });

  it.each(['commit/0/1', 'commits/0', 'reveals/0'])(
    'waits for the end of a round it committed to: %s',
    async (until) => {
      const { script, home, resign, resignations } = await market({ until });
      const { status, stdout } = await resign();
      expect([status, JSON.parse(stdout)]).toMatchObject([
        5,
        { error: { code: 'not-ready', remedy: `after the round: nmkt resign ${script.jobId}` } },
      ]);
      expect(await resignations()).toEqual([]);
      // The home has taken over what this key signed before, and nothing else.
      const kept = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.startsWith('jobs'));
      const files = kept.map((name) => join(home, name)).filter((path) => statSync(path).isFile());
      expect(files.filter((path) => readFileSync(path, 'utf8').includes('resign'))).toEqual([]);
    },
  );

  it.each([
    ['a bid', 'bid/2'],
    ['a seat', 'award'],
    ['a seat in an open round', 'commit/0/0'],
    ['a seat after a round', 'settlement/0'],
  ])('gives %s back', async (_, until) => {
    const { resign, resignations } = await market({ until });
    expect((await resign()).status).toBe(0);
    expect(await resignations()).toHaveLength(1);
  });

  it('lets a spare leave', async () => {
    const { resign, resignations } = await market({ spares: 1, until: 'open/0' }, people[3]);
    expect((await resign()).status).toBe(0);
    expect(await resignations()).toHaveLength(1);
  });

  it('is for good: the same key may not bid again', async () => {
    const { script, url, home, resign } = await market({ until: 'bid/2' });
    expect((await resign()).status).toBe(0);
    const again = await runNmkt(['bid', script.jobId, '--price', '21', '--relay', url, '--home', home, '--json']);
    expect([again.status, again.stdout]).toEqual([5, expect.stringContaining('this key resigned from the job')]);
  });

  it.each([
    ['a finished job', {}, people[1]!, 'job-closed', 5],
    ['a lapsed job', { until: 'bid/2', terms: { deadline: 1_760_086_400 } }, people[1]!, 'job-closed', 5],
    ['a job without a bid of this key', { until: 'bid/2' }, people[7]!, 'not-awarded', 5],
    ['a job without a seat of this key', { until: 'open/0' }, people[7]!, 'not-awarded', 5],
  ] as const)('refuses %s', async (_, options, who, code, exit) => {
    const { resign, resignations } = await market(options, who);
    const { status, stdout } = await resign();
    expect([status, JSON.parse(stdout)]).toMatchObject([exit, { error: { code } }]);
    expect(await resignations()).toEqual([]);
  });

  it('refuses a reason of several lines, an unknown job and a silent relay', async () => {
    const { home, resign } = await market({ until: 'award' });
    const lines = await resign('--reason', 'a\nb');
    expect([lines.status, JSON.parse(lines.stdout)]).toMatchObject([2, { error: { code: 'bad-usage' } }]);
    const job = 'ab'.repeat(32);
    const unknown = await runNmkt(['resign', job, '--relay', await relayWith([]), '--home', home, '--json']);
    expect([unknown.status, JSON.parse(unknown.stdout)]).toMatchObject([3, { error: { code: 'job-unknown' } }]);
    const silent = await runNmkt(['resign', job, '--relay', 'ws://127.0.0.1:9', '--home', home, '--json']);
    expect([silent.status, JSON.parse(silent.stdout)]).toMatchObject([3, { error: { code: 'relay-unreachable' } }]);
  });
});
