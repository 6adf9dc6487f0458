import { askPinned, type PinnedServer } from './pinned-https.js';

/** An object of the REST interface of LND: https://lightning.engineering/api-docs/api/lnd. 64-bit integers are strings, bytes base64. */
export type LndMessage = Readonly<Record<string, unknown>>;

/** gRPC codes, https://grpc.github.io/grpc/core/md_doc_statuscodes.html. */
export const NOT_FOUND = 5;
export const ALREADY_EXISTS = 6;

/** LND has answered, and refused. */
export class LndRefusal extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export interface LndRest {
  /** @throws LndRefusal; any other error leaves open whether it was done */
  get(path: string): Promise<LndMessage>;
  /** @throws as `get` */
  post(path: string, body: object): Promise<LndMessage>;
  /** The first message of a stream that is wanted, however long that takes. @throws as `get` */
  await(path: string, isWanted: (message: LndMessage) => boolean, body?: object): Promise<LndMessage>;
  /** Ends whatever waits. */
  close(): void;
}

const TIMEOUT_MS = 10_000;

export function connectLnd(server: PinnedServer): LndRest {
  const closed = new AbortController();
  const first = async (
    path: string,
    body: object | undefined,
    isWanted: (message: LndMessage) => boolean,
    signal: AbortSignal,
  ): Promise<LndMessage> => {
    const asked = { method: body === undefined ? 'GET' : 'POST', path, ...(body && { body }) } as const;
    for await (const line of askPinned(server, asked, signal)) {
      const message = messageOf(line);
      if (isWanted(message)) return message;
    }
    throw new Error(`LND ended its answer to ${path.split('/').slice(0, 4).join('/')}`);
  };
  const soon = (): AbortSignal => AbortSignal.any([closed.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  return {
    get: (path) => first(path, undefined, () => true, soon()),
    post: (path, body) => first(path, body, () => true, soon()),
    await: (path, isWanted, body) => first(path, body, isWanted, closed.signal),
    close: () => closed.abort(),
  };
}

/** Of a plain answer, of one of a stream, or of a refusal by either. */
function messageOf(line: unknown): LndMessage {
  const { result, error, ...plain } = line as { result?: LndMessage; error?: LndMessage } & LndMessage;
  const refusal = error ?? (isRefusal(plain) ? plain : undefined);
  if (refusal === undefined) return result ?? plain;
  const message = String(refusal['message']);
  // A path that this LND was built without is called so, too: that is no word about an invoice.
  if (refusal['code'] === NOT_FOUND && message === 'Not Found') throw new Error('LND has no such path');
  throw new LndRefusal(Number(refusal['code']), message);
}

function isRefusal(message: LndMessage): boolean {
  return typeof message['code'] === 'number' && typeof message['message'] === 'string';
}
