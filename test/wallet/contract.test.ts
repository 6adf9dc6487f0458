import { FakeLightning } from '../support/fake-wallet.js';
import { stageForTest } from './samples.js';
import { describeWallet } from './wallet-contract.js';

const regtest = { network: 'regtest', prefix: 'bcrt' } as const;

describeWallet('the fake wallet', regtest, async () => {
  const node = new FakeLightning();
  return { customer: node.wallet('customer', 1_000_000n), trainer: node.wallet('trainer') };
});

describeWallet('the NIP-47 client and the sandbox service over a relay', regtest, async () => {
  const stage = await stageForTest();
  await stage.ledger.fundOnce('customer', 1_000_000n);
  return { customer: await stage.wallet('customer'), trainer: await stage.wallet('trainer') };
});
