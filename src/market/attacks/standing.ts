import { hex, type EventId, type Pubkey } from '../../hash.js';
import { parseJobEvent } from '../../protocol/events.js';
import { eventHash } from '../../schnorr.js';
import { effectivePrice } from '../auction.js';
import { foldJob } from '../fold.js';
import { rate } from '../reputation.js';
import { afterMatch, conservative, NEW_SKILL } from '../skill.js';
import type { JobState } from '../state.js';
import { jobDump, type Sign } from './job-dump.js';
import { named, type AttackRow } from './row.js';

/** Attacks on what is known of a key. */

const idOnly: Sign = (template, _secret, pubkey) => {
  const id = hex(eventHash({ ...template, pubkey })) as EventId;
  return { ...template, pubkey, id, sig: '0'.repeat(128) };
};

function oneJob(): JobState {
  const parsed = [...jobDump({ name: 'a job', trainers: 3, rounds: 2, validators: 0 }, idOnly)].map((event) =>
    parseJobEvent(event),
  );
  return foldJob(parsed[0]!.id, parsed);
}

/** Jobs that a trainer posts to itself under other keys, all accepted and paid. */
export function selfDealt(): AttackRow[] {
  const state = oneJob();
  const trainer = state.rounds[0]!.assigned[0]!.trainer;
  const by = (customer: string, i: number): JobState => ({
    ...state,
    jobId: named(`${customer} ${i}`) as string as EventId,
    job: { ...state.job!, author: named(customer) as string as Pubkey },
  });
  const friend = named('friend') as string as Pubkey;
  const rated = (jobs: readonly JobState[]) =>
    rate(jobs, trainer, 'trainer', { trusted: new Set([friend]), network: 'sandbox' }).rating;
  const jobs = (count: number, customer: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => by(customer(i), i));
  const honest = rated([by('friend', 0)]);
  // Finer steps of the same sum go a little further.
  const ofTwenty = 1.02 * rated(jobs(10, () => 'friend'));
  return [
    { setting: '1 job of a key that nobody knows', measured: rated(jobs(1, () => 'shill')), computed: honest },
    { setting: '200 jobs of it', measured: rated(jobs(200, () => 'shill')), computed: honest },
    { setting: '200 jobs of 200 such keys', measured: rated(jobs(200, (i) => `shill ${i}`)), computed: honest },
    {
      setting: '200 jobs of a customer that the reader trusts',
      ...{ measured: rated(jobs(200, () => 'friend')), computed: ofTwenty },
    },
  ].map(({ setting, measured, computed }) => ({
    ...{
      attack: 'self-dealt receipts',
      setting: `${setting}, 2 rounds each: rating, at most`,
      unit: 'rating' as const,
    },
    ...{ measured, computed, fits: measured <= computed },
  }));
}

/** A key that failed beside the new one that it would take instead: the old one never stands lower, nor counts dearer. */
export function whitewashing(): AttackRow[] {
  return [1, 3, 10].flatMap((failures) => {
    let skill = NEW_SKILL;
    for (let i = 0; i < 10; i++) skill = afterMatch(skill, 'done', new Set(), 1);
    for (let i = 0; i < failures; i++) skill = afterMatch(skill, 'absent', new Set(['done']), 1);
    const rating = Math.max(0, conservative(skill));
    const fresh = Math.max(0, conservative(NEW_SKILL));
    const [kept, unknown] = [priceFactor(10 + failures, 10), priceFactor(0, 0)];
    const after = `10 rounds accepted, then absent in ${failures}`;
    const attack = 'whitewashing';
    return [
      {
        ...{ attack, setting: `${after}: rating of the old key, of a new one`, unit: 'rating' as const },
        ...{ measured: rating, computed: fresh, fits: rating >= fresh },
      },
      {
        ...{ attack, setting: `${after}: price factor of the old key, of a new one`, unit: 'factor' as const },
        ...{ measured: kept, computed: unknown, fits: kept <= unknown },
      },
    ];
  });
}

/** What a price is multiplied by in an award. */
export function priceFactor(attempts: number, successes: number): number {
  return Number(effectivePrice(1_000_000n, { attempts, successes })) / 1e6;
}
