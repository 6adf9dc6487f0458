import { isNmktError } from '../errors.js';
import type { Pubkey } from '../hash.js';
import type { Context } from './command.js';
import { fail, type Check } from './doctor-check.js';
import { askRelay, judgeClock, judgeRelay, proberOf } from './doctor-relay.js';
import { keepKnowledge, readKnowledge, type KnownRelay, type Knowledge } from './relay-knowledge.js';
import type { RelayFacts } from './relay-verdict.js';

export interface Checked {
  readonly checks: readonly Check[];
  readonly relays: readonly RelayFacts[];
}

/** The relays and, by them, the clock. What was found out is kept in the home, where there is one already. */
export async function checkRelays(
  context: Context,
  urls: readonly string[],
  { isWriting, isFresh }: { readonly isWriting: boolean; readonly isFresh: boolean },
): Promise<Checked> {
  const lost = (check: Check): Checked => ({ checks: [check], relays: [] });
  if (urls.length === 0)
    return lost(fail('relays', 'none is set', 'nmkt init, or a private market: nmkt sandbox --dir sb'));
  const { deps } = context;
  try {
    const { urls: wanted } = await deps.relays();
    const known = isFresh ? new Map<string, KnownRelay>() : await readKnowledge(deps.home());
    const prober = await proberOf(deps);
    const relays = await Promise.all(wanted.map((url) => askRelay(context, url, { isWriting, known, ...prober })));
    await keepFound(context, relays, known, prober.by);
    const others = (one: RelayFacts) => relays.filter((other) => other !== one);
    return { checks: [judgeClock(relays), ...relays.flatMap((one) => judgeRelay(one, others(one)))], relays };
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return lost(fail('relays', error.message, error.remedy));
  }
}

/** Where there is a home already: looking makes none. */
async function keepFound(
  { deps, progress }: Context,
  relays: readonly RelayFacts[],
  known: Knowledge,
  by: Pubkey | null,
): Promise<void> {
  const found = relays.flatMap((one) =>
    one.triedAtSec === null ||
    one.probe.steps?.event.state === 'silent' ||
    one.triedAtSec === known.get(one.url)?.triedAtSec
      ? []
      : [{ ...one, triedAtSec: one.triedAtSec, by }],
  );
  if (found.length === 0 || (await deps.home().list('.')).length === 0) return;
  await keepKnowledge(deps.home(), found).catch((error: unknown) => {
    if (!isNmktError(error)) throw error;
    progress.note(`what was found out is not kept: ${error.message}`);
  });
}
