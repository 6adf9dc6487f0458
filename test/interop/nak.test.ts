import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { localSigner } from '../../src/signer.js';
import { storyFolder } from '../support/story.js';
import { nak, requireProgram, type Program } from './programs.js';
import { khatru, startRelayProgram } from './relay-programs.js';

/** `nak`: one event from us to its relay, one from it to ours. */
const secret = new Uint8Array(32).fill(7);

let program: Program;
beforeAll(async () => void (program = await nak()), 540_000);

describe('nak', () => {
  it('serves as a relay: an event published there comes back equal, by id and by tag', async (context) => {
    const path = requireProgram(context, program);
    const url = await startRelayProgram(khatru, path, join(storyFolder(), 'relay'));
    const pool = connectRelays([url], { network: 'sandbox' });
    const event = await localSigner(secret).sign({
      kind: 1,
      tags: [['t', 'nmkt-interop']],
      content: 'from nmkt',
      created_at: Math.floor(Date.now() / 1000),
    });
    expect((await pool.publish(event)).map(({ state }) => state)).toEqual(['stored']);
    expect((await pool.fetch([{ ids: [event.id] }])).events).toEqual([event]);
    expect((await pool.fetch([{ '#t': ['nmkt-interop'], authors: [event.pubkey] }])).events).toEqual([event]);
    await pool.close();
  });

  it('is a client of the embedded relay: what it publishes, it and we can read', async (context) => {
    const path = requireProgram(context, program);
    const relay = await startRelay({ port: 0 });
    const sec = Buffer.from(secret).toString('hex');
    const published = spawnSync(path, ['event', '--sec', sec, '-k', '1', '-c', 'from nak', relay.url], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    const { id } = JSON.parse(published.stdout) as { id: string };
    const pool = connectRelays([relay.url], { network: 'sandbox' });
    expect((await pool.fetch([{ ids: [id] }])).events).toMatchObject([{ id, content: 'from nak' }]);
    await pool.close();
    await relay.close();
  });
});
