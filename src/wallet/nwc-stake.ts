import { isNmktError, NmktError, type ErrorCode } from '../errors.js';
import type { NostrEvent, Stake, StakeLock } from '../ports.js';
import { openNwcClient, sandboxRequest, type NwcClient } from './nwc-client.js';
import { cleanText } from './nwc-answers.js';
import { encodeStakeCall, MAX_EVIDENCE, STAKE_METHOD, stakeAnswer, type StakeCall } from './stake-method.js';
import { parseWalletUri } from './wallet-uri.js';

const REPLY_TIMEOUT_MS = 10_000;
/** What a wallet may refuse with; anything else is its trouble. */
const REFUSALS: Readonly<Record<string, ErrorCode>> = {
  PAYMENT_FAILED: 'payment-failed',
  // Of an invoice that the pot is to pay.
  INSUFFICIENT_BALANCE: 'payment-failed',
  OTHER: 'payment-failed',
  BAD_USAGE: 'bad-usage',
  NOT_READY: 'not-ready',
  BAD_EVENT: 'bad-event',
  NOT_IMPLEMENTED: 'bad-settings',
};

export interface ConnectedStake extends Stake {
  close(): Promise<void>;
}

/**
 * Stake behind a wallet of the sandbox. Every call may be repeated: a lock is named by who locks what for which job.
 *
 * @throws NmktError from its calls: `wallet-unreachable`, `bad-settings` for a wallet that locks no stake, and what the port says
 */
export async function connectStake(uri: string): Promise<ConnectedStake> {
  const parsed = parseWalletUri(uri);
  const client = await openNwcClient(parsed);
  const call = (of: StakeCall) => request(client, of, [uri, parsed.secret]);
  const ask = async (of: StakeCall) => (await call(of)).found;
  const known = async (of: StakeCall): Promise<StakeLock> => (await ask(of))!;
  return {
    lock: (of) => known({ do: 'lock', ...of }),
    find: (lock) => ask({ do: 'find', lock }),
    release: (lock) => known({ do: 'release', lock }),
    async slash(lock, evidence) {
      requireFitting(evidence);
      return known({ do: 'slash', lock, evidence: [...evidence] });
    },
    pay: async (of) => (await call({ do: 'pay', ...of })).paid!,
    close: () => client.close(),
  };
}

/** Encrypted as NIP-44 says, of at most 65,535 bytes, with the call around it. */
const MAX_EVIDENCE_BYTES = 60_000;

/** @throws NmktError `bad-usage` */
function requireFitting(evidence: readonly NostrEvent[]): void {
  const bytes = Buffer.byteLength(JSON.stringify(evidence));
  if (bytes <= MAX_EVIDENCE_BYTES && evidence.length <= MAX_EVIDENCE) return;
  throw new NmktError('bad-usage', 'the evidence does not fit into one message to the wallet', {
    expected: `at most ${MAX_EVIDENCE} events of ${MAX_EVIDENCE_BYTES} bytes together`,
    got: `${evidence.length} events of ${bytes} bytes`,
    remedy: 'nothing: no stake is slashed for it',
  });
}

async function request(
  client: NwcClient,
  of: StakeCall,
  secrets: readonly string[],
): Promise<ReturnType<typeof stakeAnswer>> {
  try {
    const sent = (sdk: Parameters<typeof sandboxRequest>[0]) =>
      sandboxRequest(sdk, STAKE_METHOD, encodeStakeCall(of), REPLY_TIMEOUT_MS);
    return stakeAnswer(await client.call(sent, REPLY_TIMEOUT_MS + 2_000));
  } catch (error) {
    if (isNmktError(error)) throw error;
    const code = error instanceof client.sdk.Nip47WalletError ? error.code : '';
    const got = cleanText((error as Error).message, secrets);
    const refusal = REFUSALS[code];
    if (refusal === undefined)
      throw new NmktError('wallet-unreachable', `the wallet did not ${of.do} the stake`, {
        expected: 'an answer',
        got,
        remedy: 'see that the wallet service and its relay are up, then run it again: nothing is locked twice',
      });
    throw new NmktError(refusal, `the wallet refused to ${of.do} the stake`, {
      expected: code === 'NOT_IMPLEMENTED' ? 'a wallet that locks stake: so far those of nmkt sandbox' : 'a yes',
      got,
      remedy: code === 'NOT_IMPLEMENTED' ? 'nmkt sandbox --dir sb' : 'see what it got',
    });
  }
}
