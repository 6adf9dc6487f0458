import { table } from '../terminal/table.js';
import type { Check } from './doctor-check.js';
import { verdictOf, type RelayFacts } from './relay-verdict.js';

/** The doctor's report for people: the machine's checks, a row per relay, and what is wrong with relays. */

const HEAD = ['relay', 'good for', 'size', 'rate', 'login', 'tried'];
/** Leaves the other columns room in 60. */
const MAX_NAME = 18;

export function describeDoctor(checks: readonly Check[], relays: readonly RelayFacts[], nowSec: number): string {
  const isOfRelay = ({ name }: Check) =>
    relays.some(({ url }) => name === `relay ${url}` || name.startsWith(`relay ${url} `));
  const rows = checks.filter((check) => !isOfRelay(check));
  const parts = [checkTable(rows)];
  if (relays.length > 0) parts.push(table([HEAD, ...relays.map((one) => relayRow(one, nowSec))]));
  const reasons = relays.flatMap((one) => {
    const verdict = verdictOf(one);
    return verdict === null || verdict.reason === '' ? [] : [`${nameOf(one.url)}: ${verdict.use}: ${verdict.reason}`];
  });
  const wrong = checks.filter((check) => isOfRelay(check) && check.state !== 'ok');
  if (reasons.length > 0) parts.push(reasons.join('\n'));
  if (wrong.length > 0) parts.push(wrong.map(lineOf).join('\n'));
  return parts.join('\n\n');
}

/** State, name, and what to do. */
export function checkTable(checks: readonly Check[]): string {
  return table(checks.map(rowOf));
}

function rowOf({ state, name, detail, remedy }: Check): string[] {
  return [state, name, remedy === null || state === 'ok' ? detail : `${detail}; try: ${remedy}`];
}

function lineOf({ state, name, detail, remedy }: Check): string {
  return `${state}  ${nameOf(name.replace(/^relay /, ''))}: ${detail}${remedy === null ? '' : `; try: ${remedy}`}`;
}

function relayRow(facts: RelayFacts, nowSec: number): string[] {
  const { url, probe, triedAtSec } = facts;
  const use = verdictOf(facts)?.use ?? 'not tried';
  const { steps } = probe;
  const name = shorten(nameOf(url));
  if (probe.problem !== null || steps === null) return [name, use, '-', '-', '-', '-'];
  return [
    name,
    use,
    steps.takenBytes === null ? '-' : sizeOf(steps.takenBytes),
    rateOf(steps.burst),
    loginOf(facts),
    triedAtSec === null ? '-' : ageOf(nowSec - triedAtSec),
  ];
}

const nameOf = (url: string): string => url.replace(/^wss?:\/\//, '');

/** Both ends of a name tell something: a host, and a port or path. */
function shorten(name: string): string {
  const half = Math.floor((MAX_NAME - 1) / 2);
  return name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME - 1 - half)}…${name.slice(-half)}`;
}

/** In thousands of bytes, as a chunk's 48 KB are: 64K is a chunk's event. */
const sizeOf = (bytes: number): string => (bytes < 1_000 ? String(bytes) : `${Math.floor(bytes / 1_000)}K`);

/** `N/s` by the burst; `N max` where it was stopped in the middle, and `N slow` where it went on a second later. */
function rateOf({ stored, tookMs, message, isTakenLater }: NonNullable<RelayFacts['probe']['steps']>['burst']): string {
  if (message === '') return `${Math.round((stored * 1_000) / Math.max(1, tookMs))}/s`;
  return isTakenLater === true ? `${stored} slow` : `${stored} max`;
}

function loginOf({ probe: { steps, auth } }: RelayFacts): string {
  if (auth === 'refused') return 'no';
  const { loginToRead, loginToWrite } = steps!;
  if (loginToRead && loginToWrite) return 'both';
  return loginToRead ? 'read' : loginToWrite ? 'write' : '-';
}

function ageOf(seconds: number): string {
  if (seconds < 3_600) return seconds < 120 ? 'now' : `${Math.floor(seconds / 60)} min`;
  return seconds < 2 * 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
