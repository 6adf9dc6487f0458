import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';

/** A server on this machine that is known by its own certificate alone: LND and btcd each sign theirs. */
export interface PinnedServer {
  readonly port: number;
  /** PEM. */
  readonly certificate: string;
  /** With what it lets us in. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * One request with JSON in both directions, and the lines of its answer as they come. Whoever stops reading ends the connection.
 *
 * @throws Error when the server or the connection goes, or the signal aborts: what was asked may have been done
 */
export async function* askPinned(
  server: PinnedServer,
  asked: { readonly method: 'GET' | 'POST'; readonly path: string; readonly body?: object },
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const { port, certificate, headers } = server;
  const response = await new Promise<IncomingMessage>((done, fail) => {
    const { method, path } = asked;
    const sent = request({ host: '127.0.0.1', port, path, method, ca: certificate, headers, signal }, done);
    sent.once('error', fail);
    sent.end(asked.body && JSON.stringify(asked.body));
  });
  let rest = '';
  for await (const text of response.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line !== '') yield JSON.parse(line);
  }
  if (rest !== '') yield JSON.parse(rest);
}
