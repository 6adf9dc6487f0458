import { isNmktError, NmktError } from '../errors.js';
import { openNwcClient, sandboxRequest } from './nwc-client.js';
import { cleanText } from './nwc-answers.js';
import { MINE_METHOD } from './service-methods.js';
import { parseWalletUri } from './wallet-uri.js';

const REPLY_TIMEOUT_MS = 10_000;

/**
 * Lets blocks pass in the sandbox that this wallet is of.
 *
 * @param blocks  1 to 10,000
 * @returns       the height
 * @throws NmktError `bad-settings` for a wallet of no sandbox, `wallet-unreachable`
 */
export async function mineBlocks(uri: string, blocks: number): Promise<number> {
  const parsed = parseWalletUri(uri);
  const client = await openNwcClient(parsed);
  try {
    const answer = (await client.call(
      (sdk) => sandboxRequest(sdk, MINE_METHOD, { blocks }, REPLY_TIMEOUT_MS),
      REPLY_TIMEOUT_MS + 2_000,
    )) as { readonly height?: unknown };
    if (Number.isSafeInteger(answer.height)) return answer.height as number;
    throw new Error('an answer without a height');
  } catch (error) {
    if (isNmktError(error)) throw error;
    const isOther = error instanceof client.sdk.Nip47WalletError;
    const got = cleanText((error as Error).message, [uri, parsed.secret]);
    throw new NmktError(
      isOther ? 'bad-settings' : 'wallet-unreachable',
      isOther ? 'this wallet has no blocks of its own' : 'the sandbox did not answer',
      {
        expected: 'a wallet of nmkt sandbox',
        got,
        remedy: isOther ? 'nmkt sandbox mine N --settings sb/customer.json' : 'start it: nmkt sandbox --dir sb',
      },
    );
  } finally {
    await client.close();
  }
}
