import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { prng } from '../../src/learning/prng.js';
import { iris, runJson, startSandbox, storyFolder } from '../support/story.js';
import { requireProgram, type Program } from './programs.js';
import { khatru, python, rust, startRelayProgram } from './relay-programs.js';
import { timed, wholeJob } from './whole-job.js';

/** A market over relays that are not ours, with the settings they come with. */

const SEED = new Uint8Array(32).fill(3);
/** What the configuration of nostr-rs-relay recommends to public relays, for all who come together. */
const LIMITS = ['messages_per_sec = 5', 'subscriptions_per_min = 10'];
/** nostr-relay takes 4,096 characters unless it is told otherwise. */
const relays = [rust(), rust('nostr-rs-relay with limits', LIMITS), khatru, python(['max_event_size: 65536'])];

describe.each(relays)('$name', (relay) => {
  let program: Program;
  beforeAll(async () => void (program = await relay.install()), 3_600_000);

  it(
    'keeps a dataset of 8 MB, of which check --deep finds every chunk, until it is asked to delete it',
    { timeout: 300_000 },
    async (context) => {
      const path = requireProgram(context, program);
      const folder = storyFolder();
      const url = await startRelayProgram(relay, path, join(folder, 'relay'));
      const home = ['--relay', url, '--home', join(folder, 'c')];
      const file = join(folder, 'table.csv');
      writeFileSync(file, noise(100_000));
      const published = await timed(['publish-dataset', file, '--label', 'label', ...home]);
      const { dataset, stored, chunks } = published.document;
      expect(chunks).toBeGreaterThan(60);
      expect(stored).toMatchObject([{ relay: url, stored: chunks, refused: 0, unanswered: 0 }]);
      const { document: checked } = await timed(['check', String(dataset), '--deep', ...home]);
      expect(checked).toMatchObject({ chunks, checked: chunks, lost: [] });
      expect(checked['relays']).toMatchObject([{ relay: url, found: chunks, missing: [], manifests: 4 }]);
      const { document: deleted } = await timed(['delete-dataset', String(dataset), '--yes', ...home]);
      expect(deleted['relays']).toMatchObject([{ relay: url, message: '', before: 20, after: 0, manifests: 0 }]);
    },
  );

  it(
    'carries a whole job, from the dataset to a model that the audit passes',
    { timeout: 300_000 },
    async (context) => {
      const path = requireProgram(context, program);
      const sandbox = await startSandbox(2);
      await wholeJob(sandbox, await startRelayProgram(relay, path, join(sandbox.folder, 'relay')));
    },
  );
});

describe('nostr-relay as it comes', () => {
  let program: Program;
  beforeAll(async () => void (program = await python().install()), 600_000);

  it('takes no chunk, and publish-dataset says why', { timeout: 120_000 }, async (context) => {
    const path = requireProgram(context, program);
    const folder = storyFolder();
    const url = await startRelayProgram(python(), path, join(folder, 'relay'));
    const home = ['--relay', url, '--home', join(folder, 'c')];
    const { status, document } = await runJson(['publish-dataset', iris, '--label', 'species', ...home]);
    expect(status).toBe(3);
    expect(document).toMatchObject({
      error: { code: 'relay-unreachable', got: expect.stringMatching(/it said: invalid: 280 characters/) as string },
    });
  });
});

/** Rows of eight numbers that nothing compresses well. */
function noise(rows: number): string {
  const random = prng(SEED, 'interop/noise');
  const row = () => `${Array.from({ length: 8 }, () => random.float().toFixed(6)).join(',')},${random.below(2)}`;
  return ['a,b,c,d,e,f,g,h,label', ...Array.from({ length: rows }, row)].join('\n') + '\n';
}
