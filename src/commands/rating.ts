import { formatPubkey, parsePubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { Pubkey } from '../hash.js';
import { rate, ROLES, type RatedRole, type Rating, type ReaderTrust } from '../market/reputation.js';
import { RANKS, type Rank } from '../market/skill.js';
import type { JobState } from '../market/state.js';
import { MAX_JOBS, readHistory } from '../roles/history.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { addTrustFlags, readerTrust } from './reader-trust.js';

/** Reads only; equal events and equal trust give equal numbers, in any home. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('[npub]', 'whose rating: npub, nprofile or hex (default: the own key)')
      .option('--all', 'every key that had a part in a job that the relays know')
      .option('--from-dump <file>', 'read that file of signed events alone: no relay is asked');
    addTrustFlags(program);
    program
      .addHelpText(
        'before',
        '$ nmkt rating NPUB\n$ nmkt rating NPUB --as MY_NPUB --json\n$ nmkt rating --all --trust NPUB\n',
      )
      .addHelpText('after', HELP);
  },

  async run([name], options, context) {
    const key = await subject(context, name, options['all'] === true);
    const trustOf = readerTrust(context, options);
    context.progress.start('reading jobs');
    const dump = options['fromDump'] as string | undefined;
    const relays = dump === undefined ? await context.deps.relays() : await context.deps.openDump(dump);
    const { jobs, left, silent } = await readHistory(relays, ...(key === undefined ? [] : [key]));
    const trust = await trustOf(relays);
    context.progress.done();
    if (silent.length > 0) context.progress.warn(`${silent.join(', ')} did not answer: jobs may be missing`);
    if (left > 0) context.progress.warn(`${left} more jobs are not counted: at most ${MAX_JOBS} are read`);
    return report(jobs, key === undefined ? keysOf(jobs) : [key], trust);
  },
};

const HELP = `
Each closed round is a match: accepted and paid work beats a bar, rejected work loses to it, absence loses more, a proven fraud or fork
loses to all, and so does whom a participant accuses. The rating is mu - 3 sigma, 0 for a new key and never below. Customers are rated by what their trainers countersigned.
Receipts count in full whose issuer is the own key, one it follows or one of --trust, twenty of each; those of all strangers together count
as one. Only jobs of the network in use count, and where sats are real none without pay.
With --json one document: {network, trusted, jobs, keys: [{key, npub, trainer, validator, customer}]}, trusted being the number of keys whose
word counts, each role {rating, mu, sigma, matches, weight, done, late, rejected, absent, proven}; weight is what the
matches count together.`;

/** @returns undefined for all */
async function subject({ deps }: Context, name: string | undefined, isAll: boolean): Promise<Pubkey | undefined> {
  if (isAll && name === undefined) return undefined;
  if (!isAll && name !== undefined) return parsePubkey(name);
  const own = isAll ? undefined : (await deps.keyReport())?.pubkey;
  if (own != null) return own;
  throw new NmktError('bad-usage', 'whose rating is not said', {
    expected: 'a key, or --all',
    got: isAll ? 'both' : 'neither, and this home has no key',
    remedy: 'nmkt rating NPUB, or nmkt rating --all',
  });
}

/** Everybody who posted or held a seat, in the order of their keys. */
function keysOf(jobs: readonly JobState[]): Pubkey[] {
  const keys = jobs.flatMap(({ job, rounds, validators }) => [
    ...validators.map(({ validator }) => validator),
    ...(job === null ? [] : [job.author]),
    ...rounds.flatMap(({ assigned }) => assigned.map(({ trainer }) => trainer)),
  ]);
  return [...new Set(keys)].sort();
}

function report(jobs: readonly JobState[], keys: readonly Pubkey[], trust: ReaderTrust): Outcome {
  const rated = keys.map((key) => {
    const as = (role: RatedRole) => summary(rate(jobs, key, role, trust));
    return {
      key,
      npub: formatPubkey(key),
      trainer: as('trainer'),
      validator: as('validator'),
      customer: as('customer'),
    };
  });
  const value = { network: trust.network, trusted: trust.trusted.size, jobs: jobs.length, keys: rated };
  const rows = rated.flatMap((one) => ROLES.map((role) => ({ key: one.npub, role, ...one[role] })));
  const shown = keys.length === 1 ? rows : rows.filter(({ matches }) => matches > 0);
  return {
    value,
    text: table([
      ['key', 'as', 'rating', 'mu', 'sigma', ...counted, 'weight'],
      ...shown
        .sort((a, b) => order(a.role) - order(b.role) || b.rating - a.rating)
        .map((row) => [
          ...[`${row.key.slice(0, 16)}…`, row.role, row.rating.toFixed(2), row.mu.toFixed(2), row.sigma.toFixed(2)],
          ...counted.map((rank) => row[rank]),
          row.weight.toFixed(2),
        ]),
    ]),
    ...(keys.length > 0 && { next: `nmkt explain ${rated[0]!.npub}` }),
  };
}

const order = (role: RatedRole) => ROLES.indexOf(role);
type Counted = Exclude<Rank, 'bar'>;
const counted = RANKS.filter((rank): rank is Counted => rank !== 'bar');

function summary({ rating, mu, sigma, matches }: Rating) {
  const count = (rank: Rank) => matches.filter((match) => match.rank === rank).length;
  return {
    ...{ rating: sixDigits(rating), mu: sixDigits(mu), sigma: sixDigits(sigma), matches: matches.length },
    weight: sixDigits(matches.reduce((sum, { weight }) => sum + weight, 0)),
    ...(Object.fromEntries(counted.map((rank) => [rank, count(rank)])) as Record<Counted, number>),
  };
}

const sixDigits = (x: number) => Math.round(x * 1e6) / 1e6;
