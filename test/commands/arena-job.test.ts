import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scriptArena } from '../support/arena-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

it('a command that is given an arena says that it takes part in none', async () => {
  const script = scriptArena();
  const url = await relayWith(script.events);
  const home = join(temporaryFolder(), 'home');
  const ran = await runNmkt(['status', script.jobId, '--relay', url, '--home', home]);
  expect(ran.status, ran.stderr).toBe(4);
  expect(ran.stderr).toContain('is an arena');
  expect(ran.stderr).toContain('unsupported-version');
  expect(ran.stdout).toBe('');
});
