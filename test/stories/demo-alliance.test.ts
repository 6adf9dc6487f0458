import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';

interface AllianceDocument {
  readonly accuracy: number;
  readonly initialAccuracy: number;
  readonly members: readonly { readonly proposed: number; readonly voted: number; readonly paidMsat: number }[];
  readonly modelDir: string;
}

it('nmkt demo --mode alliance: five members train and vote on digits of their own, are paid alike, and an audit passes', async () => {
  const folder = temporaryFolder();
  const words = ['demo', '--mode', 'alliance', '--trainers', '5', '--rounds', '1', '--price', '100'];
  const { status, stdout, stderr } = await runNmkt([...words, '--json'], { cwd: folder, env: { HOME: folder } });
  expect([status, stderr]).toEqual([0, expect.stringContaining('voted for the aggregate, loss ')]);
  const document = JSON.parse(stdout) as AllianceDocument;
  expect(document).toMatchObject({ mode: 'alliance', rounds: 1, totalRounds: 1, audit: 'PASS', paidMsat: 500_000 });
  expect(document.members.map(({ paidMsat }) => paidMsat)).toEqual([100_000, 100_000, 100_000, 100_000, 100_000]);
  const sum = (of: 'proposed' | 'voted') => document.members.reduce((all, who) => all + who[of], 0);
  expect([sum('proposed'), sum('voted')]).toEqual([2, 3]);
  expect(document.accuracy).toBeGreaterThan(document.initialAccuracy + 0.3);
  expect(readFileSync(join(document.modelDir, 'README.md'), 'utf8')).toContain('1 of 1 aggregates accepted');
}, 60_000);
