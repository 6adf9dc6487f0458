import type { Participant } from './market-world.js';

/** What a backup of a participant's home holds. */
export interface HomeCopy {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly events: Participant['events'];
  readonly payouts: Participant['payouts'];
}

export function copyHome({ files, events, payouts }: Participant): HomeCopy {
  return { files: new Map(files), events: structuredClone(events), payouts: structuredClone(payouts) };
}

/** The home is what it was when it was copied; nothing of what came after is left. */
export function restoreCopy(who: Participant, copy: HomeCopy): void {
  who.files.clear();
  for (const [name, bytes] of copy.files) who.files.set(name, bytes);
  who.events.splice(0, Infinity, ...structuredClone(copy.events));
  who.payouts.splice(0, Infinity, ...structuredClone(copy.payouts));
}
