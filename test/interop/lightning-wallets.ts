import { systemClock } from '../../src/config/clock.js';
import { hex, sha256 } from '../../src/hash.js';
import type { Wallet } from '../../src/ports.js';
import { startRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { publicKey } from '../../src/schnorr.js';
import { connectWallet } from '../../src/wallet/nwc.js';
import { startWalletService } from '../../src/wallet/service.js';
import { formatWalletUri } from '../../src/wallet/wallet-uri.js';
import { keepSecret } from '../support/secrets/outputs.js';
import { lndBackend } from './lnd-backend.js';
import type { Lnd } from './lnd.js';

/** Nodes behind our wallet service, over our relay. */
export interface LightningWallets {
  readonly relayUrl: string;
  /** A connection to that node; whoever has it can spend what the node has. */
  uriOf(alias: string): string;
  wallet(alias: string): Promise<Wallet>;
  close(): Promise<void>;
}

export async function serveWallets(nodes: readonly Lnd[]): Promise<LightningWallets> {
  const relay = await startRelay({ port: 0 });
  const relays = connectRelays([relay.url], { network: 'simnet' });
  const secretOf = (alias: string) => keepSecret(sha256('wallet service', alias));
  const connectionOf = (alias: string) => keepSecret(sha256('wallet connection', alias));
  const services = await Promise.all(
    nodes.map(({ alias, rest }) =>
      startWalletService({
        ...{ relays, secret: secretOf(alias), clock: systemClock, backend: lndBackend(rest) },
        connections: new Map([[publicKey(connectionOf(alias)), alias]]),
      }),
    ),
  );
  const wallets: Wallet[] = [];
  const uriOf = (alias: string): string =>
    formatWalletUri({
      walletPubkey: publicKey(secretOf(alias)),
      ...{ relays: [relay.url], secret: hex(connectionOf(alias)) },
    });
  return {
    relayUrl: relay.url,
    uriOf,
    async wallet(alias) {
      const wallet = await connectWallet(uriOf(alias), { network: 'simnet' });
      wallets.push(wallet);
      return wallet;
    },
    async close() {
      for (const wallet of wallets) await wallet.close();
      for (const service of services) service.close();
      await relays.close();
      await relay.close();
    },
  };
}
