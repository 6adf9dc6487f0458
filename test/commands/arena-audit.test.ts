import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import { encodeArenaAuditKeys } from '../../src/roles/arena/audit-keys.js';
import { customer, people, START_SEC } from '../support/job-contents.js';
import { openedArena, trainers } from '../support/opened-arena.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

/** The real binary, whose engine is another one than that of the script's validators: equal within the tolerance. */

it('audits an arena with the keys of its customer, over a relay and from a dump, and names a validator that lied', async () => {
  const [best, liar] = [trainers[0]!.pubkey, people[5]!.pubkey];
  const arena = await openedArena();
  const script = arena.play({
    score: (trainer, stage, validator) =>
      arena.score(trainer, stage, validator) + (validator === liar && trainer === best ? 50_000 : 0),
  });
  const folder = temporaryFolder();
  const [keys, dump] = [join(folder, 'audit-keys.json'), join(folder, 'arena.ndjson')];
  writeFileSync(keys, encodeArenaAuditKeys(await arena.keysOf(script)), { mode: 0o600 });
  const url = await relayWith([...script.events, ...arena.network.events()], START_SEC + 3_600);
  const audit = (...words: string[]) => runNmkt(['audit', script.jobId, '--json', '--keys', keys, ...words]);

  const online = await audit('--relay', url, '--dump', dump);
  expect(online.status, online.stderr).toBe(0);
  const document = JSON.parse(online.stdout) as object;
  expect(document).toMatchObject({ level: 'data', why: null, verdict: 'PASS', firstBad: null, phase: 'finished' });
  const accused = { validator: liar, trainer: best };
  expect(document).toMatchObject({ contradicted: [0, 1].map((stage) => ({ stage, ...accused })) });

  const offline = await audit('--from-dump', dump);
  expect([offline.status, offline.stdout]).toEqual([0, online.stdout]);

  // The customer's own home needs no file of keys.
  const home = join(folder, 'home');
  mkdirSync(join(home, 'jobs', script.jobId), { recursive: true });
  writeFileSync(join(home, 'jobs', script.jobId, 'arena.json'), JSON.stringify(arena.secrets), { mode: 0o600 });
  const env = { NMKT_KEY: hex(customer.secret) };
  const own = await runNmkt(['audit', script.jobId, '--json', '--relay', url, '--home', home], { env });
  expect([own.status, own.stdout]).toEqual([0, online.stdout]);

  const lines = readFileSync(dump, 'utf8').split('\n');
  writeFileSync(dump, lines.filter((line) => !line.includes('"kind":4621')).join('\n'));
  const bare = await audit('--from-dump', dump);
  expect([bare.status, JSON.parse(bare.stdout)]).toMatchObject([
    2,
    { error: { code: 'bad-usage', got: 'events only' } },
  ]);
});
