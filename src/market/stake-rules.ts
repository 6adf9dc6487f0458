import type { EventOf } from '../protocol/events.js';
import { broken, type Broken, type Draft } from './draft.js';
import { evidenceOf, proofOf, type Proof } from './slashing.js';
import { afterTable, rowsOf, type StakeEvent } from './stake.js';

/** The rows of a table follow from the stakes, delegations and withdrawals that it and those before it name. */
export function applyStakeTable(draft: Draft, event: EventOf<'stake-table'>): Broken | null {
  const { interval, events, rows } = event.content;
  if (new Set(events).size !== events.length) return broken('stake-table', 'an event stands twice');
  const named: StakeEvent[] = [];
  for (const id of events) {
    const one = draft.byId.get(id);
    if (one === undefined) {
      draft.missing.add(id);
      draft.lacksStakes = true;
    } else if (one.type !== 'stake' && one.type !== 'delegate' && one.type !== 'withdraw' && one.type !== 'slash')
      return broken('stake-table', `${id} is no stake, delegation, withdrawal or slash`);
    else named.push(one);
  }
  for (const one of named)
    if (one.type === 'slash')
      for (const id of one.content.evidence)
        if (!draft.byId.has(id)) {
          draft.missing.add(id);
          draft.lacksStakes = true;
        }
  // Without one of them nobody can tell what follows.
  if (draft.lacksStakes) return null;
  const prove = (slash: EventOf<'slash'>): Proof | string => {
    const found = evidenceOf(draft.job.author, slash, (id) => draft.byId.get(id));
    if (typeof found === 'string') return found;
    return proofOf(draft, found) ?? 'its evidence condemns nobody';
  };
  const next = afterTable(draft.stakes, interval, named, prove, draft.job.content.stake !== undefined);
  if (typeof next === 'string') return broken('stake-table', next);
  const spell = (all: typeof rows) =>
    all.map((row) => [row.operator, row.role, row.ownMsat, row.delegatedMsat, row.sigmaPpm].join(':')).join(' ');
  if (spell(rowsOf(next)) !== spell(rows)) return broken('stake-table', 'its rows do not follow from its events');
  draft.stakes = next;
  return null;
}
