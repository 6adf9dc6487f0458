import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

/** Attacks on the rules of the market, through the real binary. */

it('prints one document, and the same rows into a file', async () => {
  const cwd = temporaryFolder();
  const call = ['simulate', '--market', '--seeds', '10', '--csv', 'attacks.csv', '--json'];
  const { status, stdout, stderr } = await runNmkt(call, { cwd });
  expect(status, stderr).toBe(0);
  const document = JSON.parse(stdout) as { attacks: Record<string, unknown>[] };
  expect(document).toMatchObject({ seeds: 10, misfits: 0 });
  expect(document.attacks).toContainEqual({
    ...{ attack: 'idling', setting: 'shows the base of the round: rejected by', unit: 'rule' },
    ...{ measured: 'unchanged', computed: 'unchanged', fits: true },
  });
  const lines = readFileSync(join(cwd, 'attacks.csv'), 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(1 + document.attacks.length);
  expect(lines[0]).toBe('attack,setting,unit,measured,computed,fits');
  expect(lines).toContain('"idling","shows the base of the round: rejected by","rule","unchanged","unchanged",true');
});

it.each([
  [['simulate'], 'nmkt simulate --help'],
  [['simulate', '--market', '--trainers', '5'], 'leave out --market or --trainers'],
  [['simulate', 'job.json', '--seeds', '20'], 'nmkt simulate --market --seeds 200'],
])('%j is refused with what to type', async (call, remedy) => {
  const { status, stdout } = await runNmkt([...call, '--json'], { cwd: temporaryFolder() });
  expect([status, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'bad-usage', remedy } }]);
});

it('says of a job which attacks pay under its terms', async () => {
  const cwd = temporaryFolder();
  const job = {
    rounds: 2,
    maxPriceSats: 100,
    verification: 'floor',
    leastWork: 0,
    validators: 1,
    validatorFeeSats: 10,
  };
  writeFileSync(join(cwd, 'job.json'), JSON.stringify(job));
  const call = ['simulate', '--market', 'job.json', '--cost-sats', '40', '--seeds', '10'];
  const { status, stdout, stderr } = await runNmkt([...call, '--json'], { cwd });
  expect(status, stderr).toBe(0);
  const document = JSON.parse(stdout) as { attacks: { attack: string; pays: boolean }[] };
  expect(document).toMatchObject({ terms: { priceSat: 100, costSat: 40, rate: 0, validators: 1 }, paying: 7 });
  // Nothing is repeated: half of the work is saved in the second round.
  expect(document.attacks[1]).toMatchObject({ attack: 'lazy work', honestSat: 120, attackSat: 140, pays: true });
  const text = await runNmkt(call, { cwd });
  expect(text.stdout).toMatch(/^lazy work .* 120\.0 +140\.0 +140\.0 +YES /m);
  expect(text.stdout).toContain('7 of 11 pay');
});
