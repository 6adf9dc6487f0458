import { NmktError } from '../errors.js';
import type { Context } from './command.js';
import { isCurrent, readKnowledge } from './relay-knowledge.js';
import { lastingNo } from './relay-verdict.js';

/** What this home knows of relays that will say no, before anything is sealed or sent. */

const NEEDS = { data: 'chunks of a dataset', jobs: 'events of a job' } as const;

/**
 * Warns of each relay that wanted work, money, or smaller events when it was tried. That a relay was fine says nothing: only the
 * upload does.
 *
 * @throws NmktError `relay-refused` when that is known of all of them
 */
export async function requireFitRelays(context: Context, use: keyof typeof NEEDS): Promise<void> {
  const { deps, progress } = context;
  const known = await readKnowledge(deps.home());
  if (known.size === 0) return;
  const { urls } = await deps.relays();
  const report = await deps.keyReport().catch(() => undefined);
  const by = report?.form === 'plain' ? report.pubkey : null;
  const nowSec = deps.clock.nowSec();
  const unfit = urls.flatMap((url) => {
    const one = known.get(url);
    const why = one !== undefined && isCurrent(one, nowSec, by) ? lastingNo(one, use) : '';
    return why === '' ? [] : [`${url}: ${why}`];
  });
  if (unfit.length === 0) return;
  if (unfit.length < urls.length) {
    for (const one of unfit) progress.warn(`when it was tried it was not for the ${NEEDS[use]}: ${one}`);
    return;
  }
  throw new NmktError(
    'relay-refused',
    `no relay of the settings takes the ${NEEDS[use]}, by what they did when they were tried`,
    {
      expected: 'a relay that takes events of 64,412 bytes, without payment and proof of work',
      got: unfit.join('; '),
      remedy:
        'name another relay with --relay, run your own with nmkt relay, or if one of these changed: nmkt doctor --fresh',
    },
  );
}
