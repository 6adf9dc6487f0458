import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBtcd } from './btcd.js';
import { until } from './lightning-process.js';
import { startLnd, type Lnd } from './lnd.js';

/** Two real Lightning nodes on a chain of their own, with one channel that has money on both sides. */
export interface Simnet {
  /** Opened the channel. */
  readonly alice: Lnd;
  readonly bob: Lnd;
  /** One block after the other, each seen by both nodes. @returns the height */
  mine(blocks: number): Promise<number>;
  /** Until both sides can pay: again, after a restart. */
  connected(): Promise<void>;
  /** Until nothing waits in the channel: both sides have booked what was decided. */
  booked(): Promise<void>;
  close(): Promise<void>;
}

/** Sat; half of it is pushed to the other side. */
export const CHANNEL_SATS = 10_000_000;
/** Coins of a block can be spent after a hundred others; the rules of today hold on a simnet from the 300th on. */
const FIRST_BLOCKS = 400;
/** What a channel of this size waits for at most. */
const CONFIRMATIONS = 6;

/** @param programs  the folder of `lnd` and `btcd` */
export async function startSimnet(programs: string): Promise<Simnet> {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-simnet-'));
  const chain = await startBtcd(join(programs, 'btcd'), join(folder, 'btcd'));
  const lnd = join(programs, 'lnd');
  const alice = await startLnd(lnd, join(folder, 'alice'), 'alice', chain);
  const { address } = await alice.rest.get('/v1/newaddress');
  await alice.kill();
  await chain.restart(String(address));
  await chain.mine(FIRST_BLOCKS);
  const [bob] = await Promise.all([startLnd(lnd, join(folder, 'bob'), 'bob', chain), alice.start()]);
  const nodes = [alice, bob];
  for (const node of nodes) await until(`${node.alias} follows the chain`, () => node.isSynced());

  const mine = async (blocks: number): Promise<number> => {
    let height = 0;
    for (let block = 0; block < blocks; block++) {
      height = await chain.mine(1);
      for (const node of nodes) await until(`${node.alias} sees block ${height}`, () => isAt(node, height));
    }
    return height;
  };
  const connected = async (): Promise<void> => {
    await until('the channel is active on both sides', async () => {
      const active = await Promise.all(nodes.map(async (node) => (await channelOf(node)).active));
      if (active.every(Boolean)) return true;
      await connect(alice, bob);
      return false;
    });
    // A little later than it is active, a channel can be paid through: till then LND calls the balance insufficient.
    await until('alice finds the way to bob', () => routeTo(bob, alice));
    await until('bob finds the way to alice', () => routeTo(alice, bob));
  };
  await until('alice and bob talk', () => connect(alice, bob));
  await openChannel(alice, bob);
  await mine(CONFIRMATIONS);
  await connected();
  return {
    alice,
    bob,
    mine,
    connected,
    async booked() {
      for (const node of nodes)
        await until(`nothing waits at ${node.alias}`, async () => (await channelOf(node)).pending_htlcs.length === 0);
    },
    async close() {
      for (const { rest } of nodes) rest.close();
      await Promise.all([...nodes, chain].map((node) => node.kill()));
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

async function isAt(node: Lnd, height: number): Promise<boolean> {
  return (await node.height()) >= height && node.isSynced();
}

interface Channel {
  readonly active: boolean;
  readonly pending_htlcs: readonly unknown[];
}

/** The one there is. */
async function channelOf({ rest }: Lnd): Promise<Channel> {
  const { channels } = await rest.get('/v1/channels');
  const [channel] = channels as readonly [Channel?];
  if (channel === undefined) throw new Error('no channel yet');
  return channel;
}

/** @returns whether they talk; they may have found each other by themselves */
async function connect(from: Lnd, to: Lnd): Promise<boolean> {
  const pubkey = await to.pubkey();
  const { peers } = await from.rest.get('/v1/peers');
  if ((peers as readonly { readonly pub_key: string }[]).some(({ pub_key }) => pub_key === pubkey)) return true;
  await from.rest.post('/v1/peers', { addr: { pubkey, host: to.host }, perm: true });
  return false;
}

/** @throws LndRefusal when there is none that can carry it */
async function routeTo(to: Lnd, from: Lnd): Promise<unknown> {
  return from.rest.get(`/v1/graph/routes/${await to.pubkey()}/1000`);
}

async function openChannel(from: Lnd, to: Lnd): Promise<void> {
  const node_pubkey = Buffer.from(await to.pubkey(), 'hex').toString('base64');
  const asked = { node_pubkey, local_funding_amount: String(CHANNEL_SATS), push_sat: String(CHANNEL_SATS / 2) };
  await until('the coins can be spent', () => from.rest.post('/v1/channels', asked));
}
