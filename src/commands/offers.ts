import { formatPubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { rate, type ReaderTrust } from '../market/reputation.js';
import type { Relays } from '../ports.js';
import { OFFER_ROLES, OFFERED_MODELS, type Offer } from '../protocol/offer.js';
import { currentOffers, fetchOffers, type OfferSearch } from '../roles/offers.js';
import { MAX_JOBS, readHistory } from '../roles/history.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context } from './command.js';
import { optionalInteger, optionalNumber } from './customer-ports.js';
import { addTrustFlags, readerTrust } from './reader-trust.js';

/** Reads only. */
export const command: CommandModule = {
  configure(program) {
    program
      .option('--role <role>', 'trainer or validator (default: both)')
      .option('--engine <engine>', 'a rung (node, webgpu, wasm, cpu) or the beginning of an engine id')
      .option('--model <name>', 'that it trains: logreg, mlp, cnn, gpt, lstm or sequential')
      .option('--params <n>', 'largest model, in parameters, that it must take')
      .option('--max-price-sats <n>', 'asks at most this per accepted round and shard, by the work it may be more')
      .option('--min-throughput <n>', 'examples per second of a dense model 784-128-10')
      .option(
        '--min-rating <x>',
        'rated at least this high in that role (nmkt rating), from what relays hold of its jobs',
      )
      .option('--no-rating', 'ask for no jobs, and rate nobody');
    addTrustFlags(program);
    program
      .addHelpText(
        'before',
        '$ nmkt offers\n$ nmkt offers --model gpt --engine wasm --max-price-sats 300 --json\n$ nmkt offers --min-rating 5 --trust NPUB\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress } = context;
    const search = searchOf(options);
    const least = optionalNumber(options['minRating'], '--min-rating', 0, 100);
    const trustOf = options['rating'] === false ? null : readerTrust(context, options);
    if (trustOf === null && least !== undefined)
      throw new NmktError('bad-usage', '--min-rating needs ratings', {
        expected: 'either of the two',
        got: '--min-rating and --no-rating',
        remedy: 'leave out --no-rating',
      });
    const relays = await deps.relays();
    progress.start('asking for offers');
    const { events, answered } = await fetchOffers(relays, search.role);
    if (answered.length === 0)
      throw new NmktError('relay-unreachable', 'no relay answered', {
        expected: `an answer from one of ${relays.urls.join(', ')}`,
        got: 'silence',
        remedy: 'check the network, or name another relay with --relay URL',
      });
    const found = currentOffers(events, { ...search, network: deps.network }, deps.clock.nowSec());
    const ratings = trustOf === null ? NOBODY : await ratingsOf(context, relays, found, await trustOf(relays));
    const ratingOf = (offer: Offer) => ratings.get(offer.id) ?? null;
    const offers = least === undefined ? found : found.filter((offer) => (ratingOf(offer) ?? -1) >= least);
    progress.done(`${offers.length} offers on ${deps.network}`);
    const column: OfferColumn = { name: 'rating', of: (offer) => ratingOf(offer)?.toFixed(2) ?? '?' };
    return {
      value: { offers: offers.map((offer) => ({ ...describe(offer), rating: ratingOf(offer) })) },
      text: offersTable(offers, trustOf === null ? [] : [column]),
    };
  },
};

const NOBODY: ReadonlyMap<EventId, number> = new Map();
/** Anybody may publish offers: the cheapest of them are rated. */
const MAX_RATED = 200;

/** By offer, in the role that it names: as nmkt rating, of the jobs that relays hold. */
async function ratingsOf(
  { progress }: Context,
  relays: Relays,
  offers: readonly Offer[],
  trust: ReaderTrust,
): Promise<ReadonlyMap<EventId, number>> {
  const rated = offers.slice(0, MAX_RATED);
  if (rated.length === 0) return NOBODY;
  progress.update('reading their jobs');
  const keys = [...new Set(rated.map(({ author }) => author))];
  const { jobs, left, silent } = await readHistory(relays, ...keys);
  if (silent.length > 0) progress.warn(`${silent.join(', ')} did not answer: jobs may be missing`);
  if (left > 0) progress.warn(`${left} more jobs are not counted: at most ${MAX_JOBS} are read`);
  if (rated.length < offers.length)
    progress.warn(`only the ${MAX_RATED} cheapest of ${offers.length} offers are rated`);
  return new Map(rated.map(({ id, author, content }) => [id, rate(jobs, author, content.role, trust).rating]));
}

const HELP = `
Offers are advertisements of trainers and validators on this network, at most two hours old: what counts is the bid. serve-trainer publishes one.
With --json one document, the cheapest first:
  offers  [{offer, key, npub, role, engine, throughput, leastMsat, tflopMsat, perJobPpm, models, maxParams, maxBytes, maxSeconds, shards,
          expires, relays, rating}]: leastMsat asked per accepted round and shard at least, tflopMsat per 10^12 operations of a round where that is
          more (null: nothing), perJobPpm more for each job it works on; throughput in examples per second, 0 where not measured; rating as nmkt rating says it in that role, 0 of a new key, null where
          nobody was rated (--no-rating, or beyond the 200 cheapest)`;

function oneOf<T extends string>(value: unknown, flag: string, names: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = names.find((name) => name === value);
  if (found !== undefined) return found;
  throw new NmktError('bad-usage', `${flag} is none of its names`, {
    expected: names.join(', '),
    got: JSON.stringify(value),
    remedy: `${flag} ${names[0]!}`,
  });
}

function searchOf(options: Readonly<Record<string, unknown>>): OfferSearch {
  const maxSats = optionalInteger(options['maxPriceSats'], '--max-price-sats', 0, 21e14);
  const found = {
    role: oneOf(options['role'], '--role', OFFER_ROLES),
    engine: options['engine'] as string | undefined,
    model: oneOf(options['model'], '--model', OFFERED_MODELS),
    params: optionalInteger(options['params'], '--params', 1, 1e12),
    maxMsat: maxSats === undefined ? undefined : BigInt(maxSats) * 1_000n,
    throughput: optionalInteger(options['minThroughput'], '--min-throughput', 0, 1e9),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function describe({ id, author, content }: Offer) {
  const { network: _, role, ...rest } = content;
  return { offer: id, key: author, npub: formatPubkey(author), role, ...rest };
}

/** A column of the table beside those of the offer itself. */
export interface OfferColumn {
  readonly name: string;
  of(offer: Offer): string;
}

export function offersTable(offers: readonly Offer[], more: readonly OfferColumn[] = []): string {
  if (offers.length === 0) return '';
  const head = ['key', 'role', 'engine', 'examples/s', 'asks', 'models', ...more.map(({ name }) => name)];
  return table([
    head,
    ...offers.map((offer) => {
      const { role, engine, throughput, models } = offer.content;
      const own = [formatPubkey(offer.author), role, engine.split('/', 1)[0]!, String(throughput)];
      return [...own, priceText(offer), models.join(' '), ...more.map((column) => column.of(offer))];
    }),
  ]);
}

function priceText({ content: { leastMsat, tflopMsat, perJobPpm } }: Offer): string {
  const work = tflopMsat === null ? '' : `, ${Number(tflopMsat) / 1e6} sat/GFLOP`;
  return `${leastMsat / 1_000n} sat${work}${perJobPpm === 0 ? '' : `, +${perJobPpm / 10_000} % a job`}`;
}
