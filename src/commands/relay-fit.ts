import { NmktError } from '../errors.js';
import type { Context } from './command.js';
import { isCurrent, readKnowledge, type Knowledge } from './relay-knowledge.js';
import { lastingNo } from './relay-verdict.js';

/** What this home knows of relays that will say no, before anything is sealed or sent. */

/** By URL, what this home found out with this key in the last week. */
export async function currentKnowledge(deps: Context['deps']): Promise<Knowledge> {
  const known = await readKnowledge(deps.home());
  if (known.size === 0) return known;
  const report = await deps.keyReport().catch(() => undefined);
  const by = report?.form === 'plain' ? report.pubkey : null;
  const nowSec = deps.clock.nowSec();
  return new Map([...known].filter(([, one]) => isCurrent(one, nowSec, by)));
}

const NEEDS = { data: 'chunks of a dataset', jobs: 'events of a job' } as const;

/**
 * Warns of each relay that wanted work, money, or smaller events when it was tried. That a relay was fine says nothing: only the
 * upload does.
 *
 * @throws NmktError `relay-refused` when that is known of all of them
 */
export async function requireFitRelays(context: Context, use: keyof typeof NEEDS): Promise<void> {
  const { deps, progress } = context;
  const known = await currentKnowledge(deps);
  if (known.size === 0) return;
  const { urls } = await deps.relays();
  const unfitFor = (purpose: keyof typeof NEEDS): string[] =>
    urls.flatMap((url) => {
      const one = known.get(url);
      const why = one === undefined ? '' : lastingNo(one, purpose);
      return why === '' ? [] : [`${url}: ${why}`];
    });
  const unfit = unfitFor(use);
  const noModels = use === 'jobs' && unfit.length === 0 ? unfitFor('data') : [];
  if (noModels.length > 0 && noModels.length === urls.length)
    progress.warn(`when they were tried no relay was for models of more than 24,000 bytes: ${noModels.join('; ')}`);
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
