import { CHUNK_BYTES } from '../blob/chunk.js';
import { isNmktError } from '../errors.js';
import { hex } from '../hash.js';
import { KINDS } from '../protocol/kinds.js';
import type { Network, PublishOutcome, Signer, WalletInfo } from '../ports.js';
import type { InformationAnswer } from '../relay/fetch-information.js';
import type { Context } from './command.js';
import { fail, ok, warn, type Check } from './doctor-check.js';

/** Checks of what others run: relays, their clocks, the wallet. Asking and judging are apart, so that judging is a table. */

export interface RelayFacts {
  readonly url: string;
  readonly answer: InformationAnswer;
  readonly written: Pick<PublishOutcome, 'state' | 'message'>;
  /** Connecting included. */
  readonly writeMs: number;
  readonly isReadBack: boolean;
  readonly readMs: number;
}

const PROBE_SECONDS = 60;
const SLOW_MS = 3_000;
/** A chunk's event, signature and tags included; its content alone is base64 of the sealed chunk. */
const CHUNK_EVENT_BYTES = 64_412;
const CHUNK_CONTENT_BYTES = Math.ceil((CHUNK_BYTES + 28) / 3) * 4;

/** Writes an event that expires in a minute, reads it back, and asks for its deletion. */
export async function askRelay({ deps }: Context, url: string): Promise<RelayFacts> {
  const { clock, random } = deps;
  const [answer, relays, signer] = await Promise.all([deps.relayInformation(url), deps.relays(), probeSigner(deps)]);
  const now = clock.nowSec();
  const address = ['d', `nmkt/doctor/${hex(random(8))}`];
  const event = await signer.sign({
    kind: KINDS.backup,
    created_at: now,
    tags: [address, ['expiration', String(now + PROBE_SECONDS)]],
    content: '',
  });
  const startMs = clock.nowMs();
  const [written] = await relays.publish(event, [url]);
  const writtenMs = clock.nowMs();
  const isStored = written!.state === 'stored';
  const found = isStored ? (await relays.fetch([{ ids: [event.id] }], { relays: [url] })).events : [];
  const readMs = clock.nowMs() - writtenMs;
  if (isStored) {
    const tags = [
      ['e', event.id],
      ['k', String(event.kind)],
    ];
    await relays.publish(await signer.sign({ kind: 5, created_at: now, tags, content: '' }), [url]);
  }
  const isReadBack = found.some(({ id }) => id === event.id);
  return { url, answer, written: written!, writeMs: writtenMs - startMs, isReadBack, readMs };
}

/** The own key, unless its owner would have to type or approve something for it: then one that nobody uses again. */
async function probeSigner(deps: Context['deps']): Promise<Signer> {
  const isAtHand = (await deps.keyReport().catch(() => undefined))?.form === 'plain';
  const own = isAtHand ? await deps.signer({ create: false }) : undefined;
  return own ?? deps.signerFor(deps.random(32));
}

export function judgeRelay({ url, answer, written, writeMs, isReadBack, readMs }: RelayFacts): Check {
  const name = `relay ${url}`;
  const { information, problem } = answer;
  const other = 'use another relay with --relay URL';
  if (written.state === 'unreachable')
    return fail(name, `no answer: ${problem || written.message}`, `check the address and the network, or ${other}`);
  if (written.state === 'refused') {
    const needsAuth = information?.needsAuth === true || written.message.startsWith('auth-required:');
    const remedy = needsAuth ? 'ask its operator to admit your key (nmkt whoami)' : 'ask its operator';
    return fail(name, `it refuses events: ${written.message || 'no reason given'}`, `${remedy}, or ${other}`);
  }
  const times = `written in ${writeMs} ms, read in ${readMs} ms`;
  if (!isReadBack) return fail(name, 'it took an event and did not give it back', other);
  const { needsAuth, needsPayment, maxMessageBytes, maxContentBytes } = information ?? {};
  const small =
    maxMessageBytes != null && maxMessageBytes < CHUNK_EVENT_BYTES
      ? `messages of ${maxMessageBytes} bytes, a chunk is ${CHUNK_EVENT_BYTES}`
      : maxContentBytes != null && maxContentBytes < CHUNK_CONTENT_BYTES
        ? `contents of ${maxContentBytes} bytes, that of a chunk is ${CHUNK_CONTENT_BYTES}`
        : null;
  if (small !== null) return warn(name, `${times}; it takes at most ${small}`, `${other} for datasets and models`);
  if (Math.max(writeMs, readMs) > SLOW_MS) return warn(name, `slow: ${times}`, `${other}, beside it or instead`);
  const words = [
    times,
    information === null ? `no NIP-11 document (${problem})` : information.name || 'no name',
    needsAuth === true ? 'AUTH needed and answered' : 'no AUTH needed',
    ...(needsPayment === true ? ['says it wants to be paid'] : []),
  ];
  return ok(name, words.join(', '));
}

const CLOCK_WARN_SEC = 30;
/** Many relays refuse events from further ahead or behind than some minutes. */
const CLOCK_FAIL_SEC = 300;
const SET_CLOCK = 'set the clock of this machine, for example by NTP';

/** By the middle one of the relays' clocks; one wrong relay changes nothing among three. */
export function judgeClock(relays: readonly RelayFacts[]): Check {
  const ahead = relays
    .flatMap(({ answer }) => (answer.clockAheadSec === null ? [] : [answer.clockAheadSec]))
    .sort((a, b) => a - b);
  const middle = ahead[Math.floor((ahead.length - 1) / 2)];
  if (middle === undefined) {
    if (relays.some(({ written }) => written.state === 'stored'))
      return ok('clock', 'no relay tells the time; they accept events of now');
    return warn('clock', 'no relay tells the time', 'compare this machine with another clock');
  }
  const off = Math.abs(Math.round(middle));
  const detail = off < 2 ? 'as the relays' : `${off} s ${middle > 0 ? 'behind' : 'ahead of'} the relays`;
  if (off > CLOCK_FAIL_SEC) return fail('clock', detail, SET_CLOCK);
  return off > CLOCK_WARN_SEC ? warn('clock', detail, SET_CLOCK) : ok('clock', detail);
}

export async function checkWallet({ deps }: Context): Promise<Check> {
  try {
    const wallet = await deps.wallet();
    if (wallet === null)
      return warn(
        'wallet',
        'none is set: free jobs only',
        'nmkt init --force, or set NMKT_WALLET, --wallet-file or --settings',
      );
    const info = await wallet.info();
    const balanceMsat = info.methods.has('get_balance') ? await wallet.balanceMsat() : null;
    return judgeWallet(info, balanceMsat, deps.network);
  } catch (error) {
    if (!isNmktError(error)) throw error;
    return fail('wallet', `${error.message}${error.got === undefined ? '' : ` (${error.got})`}`, error.remedy);
  }
}

export function judgeWallet(info: WalletInfo, balanceMsat: bigint | null, network: Network): Check {
  const isSame = info.network === network || (network === 'sandbox' && info.network === 'regtest');
  if (!isSame)
    return fail(
      'wallet',
      `it is on ${info.network}, the settings say ${network}`,
      `--network ${info.network}, or another wallet`,
    );
  const lacks = (methods: readonly string[]) => methods.filter((method) => !info.methods.has(method));
  const [toPay, toEarn] = [lacks(['pay_invoice', 'lookup_invoice']), lacks(['make_invoice', 'lookup_invoice'])];
  const remedy = 'make a wallet connection with all permissions, or at least those of your role';
  if (toPay.length > 0 && toEarn.length > 0)
    return fail(
      'wallet',
      `it can neither pay nor be paid: no ${[...new Set([...toPay, ...toEarn])].join(', ')}`,
      remedy,
    );
  const balance = balanceMsat === null ? 'balance not shown' : `${balanceMsat / 1000n} sat`;
  const about = `${info.alias === '' ? 'a wallet' : info.alias} on ${info.network}, ${balance}`;
  if (toPay.length > 0) return warn('wallet', `${about}; it cannot pay: no ${toPay.join(', ')}`, remedy);
  if (toEarn.length > 0) return warn('wallet', `${about}; it cannot be paid: no ${toEarn.join(', ')}`, remedy);
  return ok('wallet', about);
}
