import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import { hex, sha256, type Pubkey } from '../../src/hash.js';
import type { RandomBytes, Relays, Wallet } from '../../src/ports.js';
import { startRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { publicKey } from '../../src/schnorr.js';
import { openLedger, type Ledger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { connectWallet, type WalletOptions } from '../../src/wallet/nwc.js';
import { sandboxBackend } from '../../src/wallet/service-methods.js';
import { startWalletService, type WalletFault, type WalletServiceOptions } from '../../src/wallet/service.js';
import { formatWalletUri } from '../../src/wallet/wallet-uri.js';
import { memoryJournal } from '../support/memory-journal.js';
import { keepSecret } from '../support/secrets/outputs.js';

export const serviceSecret = keepSecret(sha256('wallet service'));
export const nodeSecret = keepSecret(sha256('lightning node'));
export const connectionOf = (name: string) => keepSecret(sha256(`connection of ${name}`));
export const connections = new Map<Pubkey, string>(
  ['customer', 'trainer'].map((name) => [publicKey(connectionOf(name)), name]),
);

let counter = 0;
export const random = (length: number) => sha256(`random ${counter++}`).subarray(0, length);

export interface Stage {
  readonly relayUrl: string;
  readonly relays: Relays;
  readonly ledger: Ledger;
  /** Taken one per request, in order. */
  readonly faults: WalletFault[];
  uriOf(name: string): string;
  wallet(name: string, options?: Partial<WalletOptions>): Promise<Wallet>;
  /** Another service beside, or after, the first. */
  startService(options?: Partial<WalletServiceOptions>): Promise<void>;
}

interface StageOptions extends Partial<WalletServiceOptions> {
  readonly random?: RandomBytes;
}

/** A relay over WebSockets on a free port and a wallet service with real invoices; ends with the test. */
export async function stageForTest(
  { random: draw = random, ...options }: StageOptions = {},
  records: LedgerRecord[] = [],
): Promise<Stage> {
  const relay = await startRelay({ port: 0 });
  onTestFinished(() => relay.close());
  const relays = connectRelays([relay.url], { network: 'sandbox' });
  onTestFinished(() => relays.close());
  const ledger = await openLedger(memoryJournal(records));
  const faults: WalletFault[] = [];
  const startService = async (changes: Partial<WalletServiceOptions> = {}): Promise<void> => {
    const service = await startWalletService({
      relays,
      secret: serviceSecret,
      connections,
      backend: sandboxBackend({ ledger, nodeSecret, clock: systemClock, random: draw }),
      clock: systemClock,
      faultFor: () => faults.shift(),
      ...changes,
    });
    onTestFinished(() => service.close());
  };
  await startService(options);
  const uriOf = (name: string): string =>
    formatWalletUri({ walletPubkey: publicKey(serviceSecret), relays: [relay.url], secret: hex(connectionOf(name)) });
  return {
    relayUrl: relay.url,
    relays,
    ledger,
    faults,
    uriOf,
    startService,
    wallet: async (name, changes = {}) => {
      const wallet = await connectWallet(uriOf(name), {
        network: 'sandbox',
        replyTimeoutMs: 2_000,
        backoffMs: [20, 50],
        ...changes,
      });
      onTestFinished(() => wallet.close());
      return wallet;
    },
  };
}
