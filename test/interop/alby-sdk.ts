import type * as Sdk from '@getalby/sdk/nwc';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { hex, sha256, sha256Hex } from '../../src/hash.js';
import type { StageOf } from './lightning-stage.js';
import { albySdk, requireProgram, type Program } from './programs.js';

/** The SDK as anybody would use it, without our client around it, as a client of our wallet service in front of LND. */

const AMOUNT = 42_000; // msat
const WAIT = { timeout: 30_000 };

/** As a package, or as a file that was installed beside. */
const versions: readonly (readonly [string, () => Promise<Program>])[] = [
  ['@getalby/sdk of nmkt', async () => ({ path: '@getalby/sdk/nwc' })],
  ['@getalby/sdk 8.0.3', albySdk],
];

export function describeAlbySdk(stageOf: StageOf): void {
  describe.each(versions)('%s', (version, install) => {
    let program: Program;
    beforeAll(async () => {
      // It keeps the WebSocket that it finds when it loads; Node 20 has none.
      if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket });
      program = await install();
    }, 600_000);

    const clientOf = async (path: string, uri: string): Promise<Sdk.NWCClient> => {
      const module = path.startsWith('/') ? pathToFileURL(path).href : path;
      const { NWCClient } = (await import(module)) as typeof Sdk;
      const client = new NWCClient({ nostrWalletConnectUrl: uri });
      onTestFinished(() => client.close());
      return client;
    };

    it('asks, makes an invoice, pays it and looks it up', async (context) => {
      const path = requireProgram(context, program);
      const { wallets } = await stageOf(context);
      const [payer, payee] = [await clientOf(path, wallets.uriOf('alice')), await clientOf(path, wallets.uriOf('bob'))];
      const { capabilities, encryptions } = await payer.getWalletServiceInfo();
      expect(encryptions).toEqual(['nip44_v2']);
      expect(capabilities).toContain('make_hold_invoice');
      expect(await payer.getInfo()).toMatchObject({ alias: 'alice', network: 'simnet' });
      expect((await payer.getBalance()).balance).toBeGreaterThan(AMOUNT);
      const made = await payee.makeInvoice({ amount: AMOUNT, description: version });
      expect(made).toMatchObject({ type: 'incoming', state: 'pending', amount: AMOUNT });
      expect(made.invoice).toMatch(/^lnsb420n1/);
      const { preimage } = await payer.payInvoice({ invoice: made.invoice });
      expect(sha256Hex(Buffer.from(preimage, 'hex'))).toBe(made.payment_hash);
      const settled = { state: 'settled', preimage, amount: AMOUNT };
      expect(await payer.lookupInvoice({ invoice: made.invoice })).toMatchObject({ type: 'outgoing', ...settled });
      const { payment_hash } = made;
      expect(await payee.lookupInvoice({ payment_hash })).toMatchObject({ type: 'incoming', ...settled });
      await expect(payee.payInvoice({ invoice: made.invoice })).rejects.toMatchObject({ code: 'OTHER' });
    });

    it('makes a hold invoice, sees the payment wait, and takes it', async (context) => {
      const path = requireProgram(context, program);
      const { wallets } = await stageOf(context);
      const [payer, payee] = [await clientOf(path, wallets.uriOf('alice')), await clientOf(path, wallets.uriOf('bob'))];
      const preimage = hex(sha256('sdk', version));
      const payment_hash = sha256Hex(Buffer.from(preimage, 'hex'));
      const { invoice } = await payee.makeHoldInvoice({ amount: AMOUNT, payment_hash });
      const paying = payer.payInvoice({ invoice });
      await expect.poll(() => payee.lookupInvoice({ payment_hash }), WAIT).toMatchObject({ state: 'accepted' });
      expect(await payer.lookupInvoice({ payment_hash })).toMatchObject({ type: 'outgoing', state: 'pending' });
      await payee.settleHoldInvoice({ preimage });
      expect(await paying).toMatchObject({ preimage });
      expect(await payee.lookupInvoice({ payment_hash })).toMatchObject({ state: 'settled', preimage });
    });

    it('gives a payment that waits back', async (context) => {
      const path = requireProgram(context, program);
      const { wallets } = await stageOf(context);
      const [payer, payee] = [await clientOf(path, wallets.uriOf('alice')), await clientOf(path, wallets.uriOf('bob'))];
      const payment_hash = sha256Hex('sdk cancels', version);
      const { invoice } = await payee.makeHoldInvoice({ amount: AMOUNT, payment_hash });
      const paying = expect(payer.payInvoice({ invoice })).rejects.toMatchObject({ code: 'PAYMENT_FAILED' });
      await expect.poll(() => payee.lookupInvoice({ payment_hash }), WAIT).toMatchObject({ state: 'accepted' });
      await payee.cancelHoldInvoice({ payment_hash });
      await paying;
      expect(await payer.lookupInvoice({ payment_hash })).toMatchObject({ type: 'outgoing', state: 'failed' });
    });
  });
}
