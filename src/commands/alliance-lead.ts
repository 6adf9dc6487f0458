import type { EventId, Sha256 } from '../hash.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import { ALLIANCE_JOB } from '../protocol/alliance/job.js';
import { KINDS } from '../protocol/kinds.js';
import { wrapRumor } from '../relay/gift-wrap.js';
import { allowedRelayUrl } from '../relay/relay-url.js';
import type { AllianceSecrets } from '../roles/alliance/env.js';
import { leadAlliance } from '../roles/alliance/sequencer.js';
import { createBell } from '../roles/bell.js';
import type { Hold } from '../roles/customer-money.js';
import type { HomeFiles } from '../roles/home-files.js';
import { openBookOf, type SignedRecord } from '../roles/job-book.js';
import { allianceFile, eventsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';
import type { PayoutRecord } from '../wallet/payout-records.js';
import type { Context } from './command.js';
import { presenceOf } from './customer-ports.js';
import { ALLIANCE_READING } from './find-alliance.js';
import { jobFiles, payingWallet, type Leading } from './lead.js';
import { createPayer } from './payer.js';
import { confirmMainnet, maxSatsOf } from './spending.js';
import { rememberHolds, type Holds } from './unpaid.js';

/** The secrets of an alliance that this home posted. */
export function allianceSecrets(files: HomeFiles, jobId: EventId): Promise<AllianceSecrets | undefined> {
  return files.readJson<AllianceSecrets>(allianceFile(jobId));
}

export interface LedAlliance {
  readonly folded: FoldedAlliance;
  /** Why payouts are not paid, as far as this run tried. */
  readonly holds: Holds;
}

/** Leads an alliance to its end, or to its cancellation. @throws NmktError as `leadAlliance`, and of the wallet */
export async function leadOwnAlliance(
  context: Context,
  ports: PublishPorts,
  secrets: AllianceSecrets,
  options: Readonly<Record<string, unknown>>,
  { signal = context.signal, cancel }: Pick<Leading, 'signal' | 'cancel'> = {},
): Promise<LedAlliance> {
  const { deps, progress } = context;
  const { relays, clock, random, files } = ports;
  const { id } = secrets.event;
  const presence = await presenceOf(ports, id);
  const { signer } = presence;
  const { network, alliance, rail } = ALLIANCE_JOB.parse(secrets.event).content;
  const bell = createBell(clock);
  const journal = await deps.openJournal<SignedRecord>(deps.home().path(eventsFile(id)));
  const book = await openBookOf(id, { ...ports, bell, signer, journal, reading: ALLIANCE_READING });
  try {
    const isOver = ['finished', 'cancelled'].includes(book.state().phase);
    const maxSats = maxSatsOf(options);
    const isPaying = rail !== 'none' && alliance.potMsat > 0n;
    if (isPaying && !isOver) await confirmMainnet(context, options, Number(alliance.potMsat / 1000n), maxSats);
    const wallet = isPaying ? await payingWallet(context) : null;
    if (!isOver && cancel === undefined) await wallet?.info();
    const payer =
      wallet === null
        ? null
        : createPayer({
            ...{ wallet, clock, network: deps.network, jobBudgetMsat: alliance.potMsat },
            journal: await deps.openJournal<PayoutRecord>(deps.home().path('payouts.jsonl')),
            ...(maxSats === undefined ? {} : { maxMsat: BigInt(maxSats) * 1000n }),
          });
    const holds = new Map<Sha256, Hold>();
    let stake: ReturnType<typeof deps.stake> | undefined;
    const folded = await leadAlliance(
      {
        ...{ book, relays, signer, clock, bell, secrets, progress, signal },
        allowedRelay: (url) => allowedRelayUrl(url, network, relays.urls),
        files: jobFiles(files, id),
        payer: payer && rememberHolds(payer, holds),
        stake: () => (stake ??= deps.stake()),
        ...(cancel && { cancel }),
      },
      (content, to) =>
        wrapRumor({ kind: KINDS.grant, content, tags: [] }, ports.signer, to as never, random, clock.nowSec()),
    );
    return { folded, holds };
  } finally {
    book.close();
    await journal.close();
    presence.close();
  }
}
