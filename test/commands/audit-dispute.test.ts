import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { NostrEvent } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { payoutId } from '../../src/protocol/settlement.js';
import { START_SEC } from '../support/job-script.js';
import { createWorld, type World } from '../support/market-world.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { lying, unwilling } from '../roles/lying-customer.js';

/** The file of a disputed job in the hands of somebody who has nothing else. */

let world: World;
let victim: string;
let events: readonly NostrEvent[];
beforeAll(async () => {
  const job = { quorum: 2, award: 'deadline', validators: 3 } as const;
  world = await createWorld({ name: 'a file', trainers: 3, validators: 3, rounds: 1, startSec: START_SEC, job });
  victim = world.trainers[1]!.signer.pubkey;
  await world.run({ customer: unwilling(lying(world, world.trainers[1]!.signer.pubkey)) });
  events = world.network.events().filter(({ kind }) => kind !== 1059);
});

/** The real binary in an empty folder, without settings and relays. */
async function offline(list: readonly NostrEvent[], command: string, ...words: string[]) {
  const folder = temporaryFolder();
  const file = join(folder, 'job.ndjson');
  writeFileSync(file, list.map((event) => `${JSON.stringify(event)}\n`).join(''));
  const { status, stdout } = await runNmkt([command, ...words, '--from-dump', file, '--json'], { cwd: folder });
  return { status, document: JSON.parse(stdout) as Record<string, unknown> };
}
const phaseOf = ({ tags }: NostrEvent) => tagValue({ tags }, 'phase');

it('proves by one command that the proof against the trainer is false', async () => {
  const fraud = events.find((event) => phaseOf(event) === 'fraud')!;
  const { status, document } = await offline(events, 'audit', world.jobId);
  expect(status).toBe(4);
  expect(document['firstBad']).toMatchObject({ event: fraud.id, author: world.customer.signer.pubkey, rule: 'fraud' });
  const said = (document['disputes'] as { rule: string; trainer: string; detail: string }[]).filter(
    ({ rule }) => rule === 'segment',
  );
  expect(said).toMatchObject([{ trainer: victim }]);
  expect(said[0]!.detail).toContain('3 of 3 drawn validators repeated it, and it ends as committed');
});

it('explains what is owed by it, to the msat', async () => {
  const payout = payoutId(world.jobId, 0, victim as never, 'correction');
  const job = await offline(events, 'explain', world.jobId);
  expect(job.document['payouts']).toContainEqual({
    payout,
    round: 0,
    payee: victim,
    amountMsat: 21_000,
    state: 'owed',
  });
  const { document } = await offline(events, 'explain', payout, '--job', world.jobId);
  expect(document).toMatchObject({ state: 'owed', amountMsat: 21_000 });
  const types = (document['causes'] as { events: { type: string }[] }[]).flatMap(({ events: cited }) =>
    cited.map(({ type }) => type),
  );
  expect(types.filter((type) => type === 'verdict')).toHaveLength(3);
});

it('proves nothing without the verdicts: the word of the customer stands until one is there', async () => {
  const without = events.filter((event) => phaseOf(event) !== 'verdict' && !isAbout(event, 'verdict'));
  const { document } = await offline(without, 'audit', world.jobId);
  expect(document['firstBad']).not.toMatchObject({ rule: 'fraud' });
});

/** Does it cite an event of that phase? */
function isAbout({ content }: NostrEvent, phase: string): boolean {
  return events.some((event) => phaseOf(event) === phase && content.includes(event.id));
}
