import { someRelays } from '../blob/transfer.js';
import { NmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import type { JobState } from '../market/state.js';
import { KINDS } from '../protocol/kinds.js';
import type { NostrEvent, Wallet } from '../ports.js';
import { JOB } from '../protocol/job.js';
import { createBell } from '../roles/bell.js';
import { leadJob } from '../roles/customer.js';
import { customerData } from '../roles/customer-data.js';
import { leftToPayMsat } from '../roles/customer-decide.js';
import type { CustomerEnv, JobSecrets } from '../roles/customer-env.js';
import type { Hold } from '../roles/customer-money.js';
import type { HomeFiles } from '../roles/home-files.js';
import { openBook, type JobBook, type SignedRecord } from '../roles/job-book.js';
import { earlierJobs } from '../roles/earlier-jobs.js';
import { eventsFile } from '../roles/job-files.js';
import { bestFirst, readRelayScores } from '../roles/relay-scores.js';
import type { Presence } from '../roles/presence.js';
import type { PublishPorts } from '../roles/publish.js';
import { wrapRumor } from '../relay/gift-wrap.js';
import { allowedRelayUrl } from '../relay/relay-url.js';
import { payoutJournal } from './own-payouts.js';
import type { Context } from './command.js';
import { presenceOf, restoredAt } from './customer-ports.js';
import { createPayer } from './payer.js';
import { followsOf } from './reader-trust.js';
import { confirmMainnet, limitsOf, maxSatsOf } from './spending.js';
import { rememberHolds, type Holds } from './unpaid.js';

export interface Led {
  readonly state: JobState;
  readonly env: CustomerEnv;
  readonly book: JobBook;
  /** Why payouts are not paid, as far as this run tried. */
  readonly holds: Holds;
}

export function jobFiles(files: HomeFiles, job: EventId): CustomerEnv['files'] {
  return {
    write: (name, bytes) => files.write(`jobs/${job}/${name}`, bytes),
    read: (name) => files.read(`jobs/${job}/${name}`),
  };
}

/** What else a caller wants of the loop; `signal` defaults to the command's. */
export interface Leading extends Pick<CustomerEnv, 'onStep' | 'cancel' | 'chosen'> {
  readonly signal?: AbortSignal;
}

/** Everything the customer's loop needs for one job. @throws NmktError `no-wallet`, `wallet-unreachable`, `network-mismatch`, `relay-unreachable` */
async function customerEnv(
  context: Context,
  ports: PublishPorts,
  presence: Presence,
  secrets: JobSecrets,
  options: Readonly<Record<string, unknown>>,
  { signal = context.signal, onStep, cancel, chosen }: Leading,
): Promise<CustomerEnv> {
  const { deps, progress } = context;
  const { relays, clock, random, files } = ports;
  const { signer } = presence;
  const id = secrets.event.id;
  const job = JOB.parse(secrets.event);
  const bell = createBell(clock);
  const journal = await deps.openJournal<SignedRecord>(deps.home().path(eventsFile(id)));
  const book = await openBook(id, { ...ports, bell, signer, journal });
  const maxSats = maxSatsOf(options);
  const isOver = book.state().phase === 'finished';
  const mayCostMsat = cancel === undefined ? job.content.budgetMsat : isOver ? 0n : leftToPayMsat(book.state());
  const isPaying = job.content.rail !== 'none' && mayCostMsat > 0n;
  if (isPaying && !isOver) await confirmMainnet(context, options, Number(mayCostMsat / 1000n), maxSats);
  const wallet = isPaying ? await payingWallet(context) : null;
  // Work that cannot be paid for is not awarded; but a job ends also while the wallet is away.
  if (!isOver && cancel === undefined) await wallet?.info();
  const followed = secrets.onlyFollowed === true && !isOver ? await followsOf(relays, signer.pubkey) : undefined;
  if (followed?.size === 0)
    progress.warn('this job takes bids of keys that you follow only, and no relay that answered has a list of those');
  let engine: ReturnType<CustomerEnv['engine']> | undefined;
  let opened: ReturnType<typeof deps.stake> | undefined;
  const stake = () => (opened ??= deps.stake());
  const loadEngine = async () => {
    const loaded = await deps.engine({ accepted: job.content.acceptedEngines });
    progress.note(`measuring on ${loaded.id}`);
    return loaded;
  };
  return {
    book,
    relays,
    allowedRelay: (url) => allowedRelayUrl(url, deps.network, relays.urls),
    signer,
    clock,
    random,
    bell,
    secrets,
    earlier: await earlierJobs(
      { files, me: signer.pubkey, journal: (name) => deps.openJournal(deps.home().path(name)) },
      id,
    ),
    data: customerData(someRelays(relays, bestFirst(relays.urls, await readRelayScores(files))), secrets, signal),
    files: jobFiles(files, id),
    stake,
    engine: () => (engine ??= loadEngine()),
    payer:
      wallet === null
        ? null
        : createPayer({
            wallet,
            journal: await payoutJournal(context),
            clock,
            network: deps.network,
            limits: limitsOf(context, options),
            jobBudgetMsat: job.content.budgetMsat,
            stake,
          }),
    progress,
    signal,
    ...(onStep && { onStep }),
    ...(cancel && { cancel }),
    ...(chosen && { chosen }),
    ...(followed && { followed }),
    ...(secrets.blocked && { blocked: new Set(secrets.blocked) }),
  };
}

export async function payingWallet({ deps }: Context): Promise<Wallet> {
  const wallet = await deps.wallet();
  if (wallet === null)
    throw new NmktError('no-wallet', 'this job pays its trainers and no wallet is set', {
      expected: 'a NIP-47 wallet',
      got: 'none',
      remedy: 'set NMKT_WALLET, --wallet-file or --settings',
    });
  return wallet;
}

/** Leads a job to its end, or to its cancellation. */
export async function lead(
  context: Context,
  ports: PublishPorts,
  secrets: JobSecrets,
  options: Readonly<Record<string, unknown>>,
  how: Leading = {},
): Promise<Led> {
  // Its secrets may have come from the relays just now.
  const own = { ...ports, ...(await restoredAt(context.deps.home())) };
  const presence = await presenceOf(own, secrets.event.id);
  const env = await customerEnv(context, own, presence, secrets, options, how);
  const wrap = async (content: string, to: string): Promise<NostrEvent> => {
    // Each takes ten milliseconds; events of hundreds of trainers come in between.
    await new Promise((resolve) => setImmediate(resolve));
    const rumor = { kind: KINDS.grant, content, tags: [] };
    return wrapRumor(rumor, ports.signer, to as never, ports.random, ports.clock.nowSec());
  };
  const holds = new Map<Sha256, Hold>();
  const payer = env.payer && rememberHolds(env.payer, holds);
  try {
    const state = await leadJob({ ...env, payer }, wrap);
    return { state, env, book: env.book, holds };
  } finally {
    env.book.close();
    presence.close();
  }
}
