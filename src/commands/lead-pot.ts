import type { EventId, Sha256 } from '../hash.js';
import type { AnyJobState } from '../market/state.js';
import { KINDS } from '../protocol/kinds.js';
import type { Signer, Stake, Wallet } from '../ports.js';
import { wrapRumor } from '../relay/gift-wrap.js';
import { allowedRelayUrl } from '../relay/relay-url.js';
import { createBell, type Bell } from '../roles/bell.js';
import type { Wrap } from '../roles/customer.js';
import type { CustomerEnv, Payer } from '../roles/customer-env.js';
import type { Hold } from '../roles/customer-money.js';
import { openBookOf, type JobBook, type Reading, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import { payoutJournal } from './own-payouts.js';
import type { Context } from './command.js';
import { presenceOf } from './customer-ports.js';
import { jobFiles, payingWallet, type Leading } from './lead.js';
import { createPayer } from './payer.js';
import { confirmMainnet, limitsOf, maxSatsOf } from './spending.js';
import { rememberHolds, type Holds } from './unpaid.js';

/** What the customer's loop of a job with a pot stands on: book, wallet, home. */
export interface PotEnv<S extends AnyJobState> extends Pick<
  CustomerEnv,
  'relays' | 'allowedRelay' | 'clock' | 'random' | 'files' | 'progress' | 'signal' | 'payer' | 'cancel'
> {
  readonly book: JobBook<S>;
  readonly signer: Signer;
  readonly bell: Bell;
  stake(): Promise<Stake | null>;
}

/** A job whose customer promises a pot that rankings or votes split. */
export interface PotJob<S extends AnyJobState> {
  readonly id: EventId;
  readonly potMsat: bigint;
  readonly reading: Reading<S>;
  isOver(state: S): boolean;
  lead(env: PotEnv<S>, wrap: Wrap): Promise<S>;
}

/** Leads it to its end, or to its cancellation. @throws NmktError as the loop, and of the wallet */
export async function leadPot<S extends AnyJobState>(
  context: Context,
  ports: PublishPorts,
  job: PotJob<S>,
  options: Readonly<Record<string, unknown>>,
  { signal = context.signal, cancel }: Pick<Leading, 'signal' | 'cancel'> = {},
): Promise<{ readonly state: S; readonly holds: Holds }> {
  const { deps, progress } = context;
  const { relays, clock, random, files } = ports;
  const { id, potMsat, reading } = job;
  const presence = await presenceOf(ports, id);
  const { signer } = presence;
  const bell = createBell(clock);
  const journal = await deps.openJournal<SignedRecord>(deps.home().path(eventsFile(id)));
  const book = await openBookOf(id, { ...ports, bell, signer, journal, reading });
  try {
    const isOver = job.isOver(book.state());
    const maxSats = maxSatsOf(options);
    if (potMsat > 0n && !isOver) await confirmMainnet(context, options, Number(potMsat / 1000n), maxSats);
    const wallet = potMsat > 0n ? await payingWallet(context) : null;
    // Work that cannot be paid for is not taken; but a job ends also while the wallet is away.
    if (!isOver && cancel === undefined) await wallet?.info();
    const holds = new Map<Sha256, Hold>();
    let stake: ReturnType<typeof deps.stake> | undefined;
    const payer = wallet === null ? null : await payerOf(context, wallet, potMsat, options);
    const state = await job.lead(
      {
        ...{ book, relays, signer, clock, random, bell, progress, signal },
        allowedRelay: (url) => allowedRelayUrl(url, deps.network, relays.urls),
        files: jobFiles(files, id),
        payer: payer && rememberHolds(payer, holds),
        stake: () => (stake ??= deps.stake()),
        ...(cancel && { cancel }),
      },
      (content, to) =>
        wrapRumor({ kind: KINDS.grant, content, tags: [] }, ports.signer, to as never, random, clock.nowSec()),
    );
    return { state, holds };
  } finally {
    book.close();
    await journal.close();
    presence.close();
  }
}

async function payerOf(
  context: Context,
  wallet: Wallet,
  jobBudgetMsat: bigint,
  options: Readonly<Record<string, unknown>>,
): Promise<Payer> {
  const { deps } = context;
  return createPayer({
    ...{ wallet, clock: deps.clock, network: deps.network, jobBudgetMsat, stake: () => deps.stake() },
    journal: await payoutJournal(context),
    limits: limitsOf(context, options),
  });
}
