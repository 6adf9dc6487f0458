export {
  MemoryLightning as FakeLightning,
  type MemoryPayment as FakePayment,
  type WalletFaults as FakeFaults,
} from '../../src/simulate/lightning.js';
