import { beforeAll, describe, expect, it } from 'vitest';
import { fromHex, hex, sha256, sha256Hex } from '../../src/hash.js';
import { countedIn, type JobState } from '../../src/market/state.js';
import { saleChecks, wrappedHash } from '../../src/protocol/sale.js';
import { KINDS } from '../../src/protocol/kinds.js';
import type { SaleHashes } from '../../src/protocol/submission.js';
import type { NostrEvent, Signer, Wallet } from '../../src/ports.js';
import { describeSales } from '../../src/roles/describe-sales.js';
import type { CustomerEnv, Payer } from '../../src/roles/customer-env.js';
import type { TrainerEnv } from '../../src/roles/trainer.js';
import {
  createWorld,
  type Kill,
  type RunOptions,
  type ValidatorOptions,
  type World,
  type WorldOptions,
} from '../support/market-world.js';

/** Jobs whose updates are opened by payments, with validators that score for the customer. */

const FEE_MSAT = 5_000n;
const PRICE_MSAT = 21_000n;
const START_MSAT = 1_000_000_000n;
/** Of durable writes; NMKT_EVERY_WRITE=1 takes each. */
const STEP = process.env['NMKT_EVERY_WRITE'] === undefined ? 3 : 1;

function world(name: string, options: WorldOptions = {}): Promise<World> {
  return createWorld({
    ...{ name: `key-sale ${name}`, trainers: 2, validators: 1, rounds: 2, rail: 'key-sale', ...options },
    job: { validators: 1, validatorFeeSats: Number(FEE_MSAT / 1_000n), ...options.job },
  });
}

async function finished(market: World, options: RunOptions = {}) {
  const result = await market.run(options);
  expect(result.state.firstBad).toBeNull();
  expect(result.state.phase).toBe('finished');
  return result;
}

const soldIn = (state: JobState) => state.rounds.map((round) => countedIn(state.job!.content, round).length);
const balances = ({ lightning, customer, trainers }: World) =>
  [customer, ...trainers].map(({ name }) => lightning.balance(name) - START_MSAT);

describe('rail key-sale', () => {
  let market: World;
  let state: JobState;
  beforeAll(async () => {
    market = await world('a job');
    const result = await finished(market);
    expect(result.ends).toMatchObject([1, 2].map(() => ({ end: 'done', rounds: 2, paidMsat: 2n * PRICE_MSAT })));
    expect(result.scorers).toMatchObject([{ end: 'done', rounds: 2, paidMsat: 2n * FEE_MSAT }]);
    state = result.state;
  });

  it('trains, scores, sells and averages: the same model as paid in instalments', async () => {
    expect(soldIn(state)).toEqual([2, 2]);
    expect(balances(market)).toEqual([-4n * PRICE_MSAT - 2n * FEE_MSAT, 2n * PRICE_MSAT, 2n * PRICE_MSAT]);
    expect((await market.auditAll()).found).toBeNull();
    const plain = await finished(await world('a job', { rail: 'instalments' }));
    expect(state.modelHash).toBe(plain.state.modelHash);
  });

  it('pays each update by the preimage that opens it', () => {
    for (const { payouts, listedReveals } of state.rounds)
      for (const reveal of listedReveals.values()) {
        const { receipt } = payouts.find(({ payee }) => payee === reveal.author)!;
        expect(sha256Hex(fromHex(receipt!.content.preimage))).toBe(reveal.content.sale!.paymentHash);
      }
  });

  it('shows both sides every check, and everybody else what is public', async () => {
    const whats = (signer: Signer | undefined) =>
      describeSales(state, signer).then((sales) =>
        sales.map(({ checks }) => [checks.length, checks.every(({ ok }) => ok)]),
      );
    expect(await whats(market.customer.signer)).toEqual([1, 2, 3, 4].map(() => [5, true]));
    const [first] = market.trainers;
    expect(await whats(first!.signer)).toEqual([
      [5, true],
      [1, true],
      [5, true],
      [1, true],
    ]);
    expect(await whats(undefined)).toEqual([1, 2, 3, 4].map(() => [1, true]));
    expect(market.customer.said.join('\n')).toContain('the wrapped key is the one that was signed: yes');
    expect(first!.said.join('\n')).toContain('the key was given for 21 sat');
  });

  it('seals to the customer nothing that opens an update before its payment', async () => {
    const reveal = [...state.rounds[0]!.listedReveals.values()][0]!;
    const text = await market.customer.signer.decrypt(reveal.author, reveal.content.sealed);
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['z', 'wrapped', 'pointer', 'state']);
  });
});

describe('what goes wrong in a sale', () => {
  it('a trainer that sells another key than it signed is proven to, and loses its award; the others go on', async () => {
    const market = await world('a wrong key', { trainers: 3, rounds: 2, job: { quorum: 2 } });
    const { state } = await finished(market, { trainers: { 0: { signer: sealsWrongKey } } });
    const cheat = market.trainers[0]!.signer.pubkey;
    expect([...state.keyFrauds.keys()]).toEqual([cheat]);
    expect(soldIn(state)).toEqual([2, 2]);
    expect(state.rounds[1]!.assigned.map(({ trainer }) => trainer)).not.toContain(cheat);
    const { content } = state.keyFrauds.get(cheat)!;
    const { sale } = state.rounds[0]!.listedReveals.get(content.shard)!.content;
    expect(saleChecks(sale!, state.jobId, content).map(({ ok }) => ok)).toEqual([true, true, true, false]);
    expect((await market.auditAll()).found).toBeNull();
  });

  it('a trainer whose sealed offer is not what it signed is not paid, and no money is lost', async () => {
    const market = await world('an empty offer', { trainers: 3, rounds: 1, job: { quorum: 2, payWithin: '60s' } });
    const { state } = await finished(market, { trainers: { 0: { signer: sealsGarbage } } });
    expect(soldIn(state)).toEqual([2]);
    expect(balances(market)[1]).toBe(0n);
    expect(market.customer.said.join('\n')).toContain('the wrapped key is the one that was signed: no');
    expect(state.rounds[0]!.payouts.filter(({ purpose }) => purpose === 'trainer')).toHaveLength(2);
  });

  it('a trainer that claims with an invoice over another hash is refused in public', async () => {
    const market = await world('another hash', { trainers: 3, rounds: 1, job: { quorum: 2, payWithin: '60s' } });
    const { state } = await finished(market, { trainers: { 0: { wallet: otherHash } } });
    const refused = [...state.chains.get(market.customer.signer.pubkey)!.events].filter(
      ({ type }) => type === 'claim-bad',
    );
    expect(refused.map((event) => event.type === 'claim-bad' && event.content.rule)).toContain('sale');
    expect(soldIn(state)).toEqual([2]);
  });

  it('a trainer that gives a payment back sells nothing, and the round goes on without it', async () => {
    const market = await world('given back', { trainers: 3, rounds: 1, job: { quorum: 2, payWithin: '60s' } });
    const { state } = await finished(market, { trainers: { 0: { wallet: givesBack } } });
    expect(soldIn(state)).toEqual([2]);
    expect(balances(market)[1]).toBe(0n);
    expect(balances(market)[0]).toBe(-2n * PRICE_MSAT - FEE_MSAT);
  });

  it('a payment on its way is waited for, beyond the time to pay, and gives its key', async () => {
    const market = await world('a slow one', { trainers: 2, rounds: 1, job: { payWithin: '60s' } });
    const { clock } = market;
    const { state } = await finished(market, {
      trainers: {
        0: { wallet: (own) => settlesFrom(own, () => clock.nowSec(), market.terms.deadline - 86_400 + 3_600) },
      },
    });
    expect(soldIn(state)).toEqual([2]);
  });

  it('a large update is fetched before it is paid for: who deletes it afterwards takes nothing back', async () => {
    const market = await world('deleted after', { rounds: 1, classes: 600 });
    const isPaid = ({ rounds }: JobState): boolean =>
      rounds[0]?.payouts.every(({ receipt }) => receipt !== null) === true && rounds[0].settlement !== null;
    const { state } = await finished(market, { customer: { adapt: losesChunks(isPaid) } });
    expect(market.customer.said.join('\n')).toContain('is paid: the sealed update is here: yes');
    expect(soldIn(state)).toEqual([2]);
  });

  it('who deletes it before is not paid', async () => {
    const market = await world('deleted before', { rounds: 1, classes: 600, job: { payWithin: '60s' } });
    const isSettled = ({ rounds }: JobState): boolean => rounds[0]?.settlement != null;
    const { state } = await finished(market, { customer: { adapt: losesChunks(isSettled) } });
    expect(market.customer.said.join('\n')).toContain('is paid: the sealed update is here: no');
    expect(state.rounds[0]!.sold!.content.sold).toEqual([]);
    expect(balances(market)).toEqual([-FEE_MSAT, 0n, 0n]);
  });

  it('a trainer that gives no key to the validators is not accepted', async () => {
    const market = await world('no keys', { trainers: 3, rounds: 1, job: { quorum: 2, roundTimeout: '60s' } });
    const { state } = await finished(market, { trainers: { 0: { adapt: givesNoKeys } } });
    expect(state.rounds[0]!.close!.content.rejected.map(({ rule }) => rule)).toEqual(['work-floor']);
    expect(soldIn(state)).toEqual([2]);
  });

  it('a trainer whose home has lost its secret waits on like one that gives no key', async () => {
    const market = await world('lost', { trainers: 3, rounds: 1, job: { quorum: 2, roundTimeout: '60s' } });
    const { state } = await finished(market, { trainers: { 0: { adapt: losesSecrets } } });
    expect(state.rounds[0]!.close!.content.rejected.map(({ rule }) => rule)).toEqual(['work-floor']);
    const said = market.trainers[0]!.said.filter((line) => line.includes('is no longer in the home'));
    expect(said).toHaveLength(1);
  });

  it('a validator takes no other key than the signed one', async () => {
    const market = await world('other keys', { trainers: 3, rounds: 1, job: { quorum: 2, roundTimeout: '60s' } });
    const { state } = await finished(market, { trainers: { 0: { adapt: givesOtherKeys } } });
    expect(state.rounds[0]!.close!.content.rejected.map(({ rule }) => rule)).toEqual(['work-floor']);
  });

  it('without enough validators the round is void: the customer can neither score nor open', async () => {
    const market = await world('no scores', {
      rounds: 1,
      validators: 3,
      job: { validators: 3, roundTimeout: '60s', revealTimeout: '20s' },
    });
    const gone = { act: async () => Promise.reject(new Error('gone')) };
    const { state } = await finished(market, { validators: { 0: silentScorer, 1: silentScorer, 2: gone } });
    expect(state.rounds.map(({ voided }) => voided !== null)).toEqual([true]);
    expect(market.lightning.payments).toEqual([]);
  });

  it('a customer that buys nothing has no key, and its trainers train no further round for it', async () => {
    const market = await world('no customer', { rounds: 3, job: { payWithin: '60s' } });
    const { ends, state } = await market.run({ customer: { adapt: (env) => ({ ...env, payer: paysNothing }) } });
    expect(ends.map((end) => (end instanceof Error || end === null ? end : end.end))).toEqual(['stopped', 'stopped']);
    expect(state.rounds.filter(({ close }) => close !== null)).toHaveLength(1);
    expect(state.modelHash).toBe(state.rounds[0]!.open.content.base.sha256);
    expect(market.lightning.payments.filter(({ to }) => to.startsWith('trainer'))).toEqual([]);
  });
});

describe('kill -9 in a sale', () => {
  it('of trainer, customer or validator at every third durable write changes nothing', async () => {
    const shape = { rounds: 1 } as const;
    const quiet = await world('killed', shape);
    const writes = { customer: 0, trainer: 0, validator: 0 };
    const count = (who: keyof typeof writes) => ({ onWrite: (made: number) => (writes[who] = made) });
    const before = (
      await finished(quiet, {
        customer: count('customer'),
        trainers: { 0: count('trainer') },
        validators: { 0: count('validator') },
      })
    ).state;
    for (const who of ['customer', 'trainer', 'validator'] as const)
      for (let after = 0; after < writes[who]; after += STEP) {
        const kill: Kill = { after, isKept: after % 2 === 0 };
        const market = await world('killed', shape);
        const role = { kill, restartAfterSec: 1 };
        const { state } = await finished(market, {
          ...(who === 'customer' && { customer: role }),
          ...(who === 'trainer' && { trainers: { 0: role } }),
          ...(who === 'validator' && { validators: { 0: role } }),
        });
        const name = `${who} at write ${after}`;
        expect(soldIn(state), name).toEqual([2]);
        expect(state.modelHash, name).toBe(before.modelHash);
        expect(balances(market), name).toEqual(balances(quiet));
        expect(market.totalMsat(), name).toBe(quiet.totalMsat());
      }
  }, 300_000);
});

/** From then on no relay has a chunk any more. */
const losesChunks =
  (isLost: (state: JobState) => boolean) =>
  (env: CustomerEnv): CustomerEnv => ({
    ...env,
    relays: {
      ...env.relays,
      fetch: async (filters, options) => {
        if (!isLost(env.book.state())) return env.relays.fetch(filters, options);
        const { onEvent, ...rest } = options ?? {};
        const isThere = ({ kind }: NostrEvent): boolean => kind !== KINDS.chunk;
        const found = await env.relays.fetch(filters, rest);
        const events = found.events.filter(isThere);
        for (const event of onEvent === undefined ? [] : events) onEvent?.(event);
        return { ...found, events: onEvent === undefined ? events : [] };
      },
    },
  });

type Encrypt = Signer['encrypt'];
/** Another wrapped key in what is sealed to the customer. */
const swaps =
  (own: Signer, wrapped: string): Encrypt =>
  (peer, text) =>
    own.encrypt(peer, text.includes('"wrapped"') ? JSON.stringify({ ...(JSON.parse(text) as object), wrapped }) : text);

const WRONG = sha256('wrong');

function sealsGarbage(own: Signer): Signer {
  return { ...own, encrypt: swaps(own, hex(WRONG)) };
}

/** Signs the hash of what it seals: all is as signed but the key. */
function sealsWrongKey(own: Signer): Signer {
  return {
    ...sealsGarbage(own),
    sign: (template) => {
      if (template.kind !== KINDS.submission) return own.sign(template);
      const content = JSON.parse(template.content) as { sale?: SaleHashes };
      if (content.sale === undefined) return own.sign(template);
      const sale = { ...content.sale, wrapped: wrappedHash(WRONG) };
      return own.sign({ ...template, content: JSON.stringify({ ...content, sale }) });
    },
  };
}

function otherHash(own: Wallet): Wallet {
  const other = (paymentHash: string) => sha256Hex(fromHex(paymentHash));
  return {
    ...own,
    makeHoldInvoice: (request) => own.makeHoldInvoice({ ...request, paymentHash: other(request.paymentHash) }),
  };
}

function givesBack(own: Wallet): Wallet {
  return { ...own, settleHold: (preimage) => own.cancelHold(sha256Hex(fromHex(preimage))) };
}

function settlesFrom(own: Wallet, nowSec: () => number, fromSec: number): Wallet {
  return { ...own, settleHold: async (preimage) => nowSec() >= fromSec && own.settleHold(preimage) };
}

function givesNoKeys(env: TrainerEnv): TrainerEnv {
  const { post, ...rest } = env;
  return { ...rest, post: { ...post!, wrap: (_, to) => post!.wrap('{}', to) } };
}

/** Once the round is scored. */
function losesSecrets(env: TrainerEnv): TrainerEnv {
  const isLost = (name: string): boolean => name.startsWith('update-') && env.book.state().phase === 'scoring';
  return { ...env, files: { ...env.files, read: async (name) => (isLost(name) ? undefined : env.files.read(name)) } };
}

function givesOtherKeys(env: TrainerEnv): TrainerEnv {
  const { post, ...rest } = env;
  const changed = (text: string) => text.replace(/"key":"[0-9a-f]{64}"/, `"key":"${hex(WRONG)}"`);
  return { ...rest, post: { ...post!, wrap: (text, to) => post!.wrap(changed(text), to) } };
}

/** Registers, and never answers again. */
const silentScorer: ValidatorOptions = {
  signer: (own) => ({
    ...own,
    sign: (template) =>
      template.tags.some(([name, value]) => name === 'phase' && value === 'commit')
        ? Promise.reject(new Error('silent'))
        : own.sign(template),
  }),
};

const paysNothing: Payer = {
  check: async () => [],
  pay: async () => ({ kind: 'held', why: 'not today', cause: 'refused' }),
};
