import { afterAll, beforeAll, type TestContext } from 'vitest';
import { killNodes } from './lightning-process.js';
import { startSimnet, type Simnet } from './lightning.js';
import { serveWallets, type LightningWallets } from './lightning-wallets.js';
import { lightning, requireProgram, type Program } from './programs.js';

export interface LightningStage {
  readonly simnet: Simnet;
  readonly wallets: LightningWallets;
}

/** For each test: two nodes that can pay, when nothing of the test before waits any more, or its end with a line that says why not. */
export type StageOf = (context: TestContext) => Promise<LightningStage>;

/** One stage for all tests of a file. */
export function lightningForFile(): StageOf {
  let program: Program;
  let stage: LightningStage | undefined;
  beforeAll(async () => {
    program = await lightning();
    if (!('path' in program)) return;
    const simnet = await startSimnet(program.path);
    stage = { simnet, wallets: await serveWallets([simnet.alice, simnet.bob]) };
  }, 3_600_000);
  afterAll(async () => {
    await stage?.wallets.close();
    await stage?.simnet.close();
    await killNodes();
  });
  return async (context) => {
    requireProgram(context, program);
    await stage!.simnet.connected();
    await stage!.simnet.booked();
    return stage!;
  };
}
