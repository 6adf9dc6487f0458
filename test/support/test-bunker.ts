import { v2 as nip44 } from 'nostr-tools/nip44';
import { finalizeEvent, getPublicKey, verifyEvent, type EventTemplate } from 'nostr-tools/pure';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { keepSecret } from './secrets/outputs.js';

/**
 * A remote signer (NIP-46) on nostr-tools' own primitives and a bare socket: it shares no code with the client it tests.
 */
export interface TestBunker {
  /** `bunker://` address with this bunker's secret. */
  readonly uri: string;
  /** The bunker's own key. */
  readonly pubkey: string;
  /** Whose key it holds. */
  readonly user: string;
  /** Methods it was asked, with the kind of event for sign_event. */
  readonly asked: string[];
  /** Ids of events it signed. */
  readonly signed: string[];
  /** Client keys that connected, in order. */
  readonly clients: string[];
  close(): Promise<void>;
}

export interface Question {
  readonly method: string;
  readonly params: readonly string[];
}
export type Reply = { readonly result?: string; readonly error?: string };

export interface TestBunkerOptions {
  readonly relay: string;
  /** 32 bytes each. */
  readonly secret: Uint8Array;
  readonly user: Uint8Array;
  readonly token?: string;
  /** Client keys it knows from before. */
  readonly clients?: readonly string[];
  /** What it says instead of the truth, to some questions; `null` is silence, a list is said one by one. */
  readonly behave?: (
    question: Question,
    honest: () => Reply,
  ) => Reply | null | readonly (Reply | Promise<Reply>)[] | undefined;
}

export async function startTestBunker(options: TestBunkerOptions): Promise<TestBunker> {
  const { relay, secret, user, token = 'let-me-in', behave = () => undefined } = options;
  const [pubkey, userPubkey] = [getPublicKey(keepSecret(secret)), getPublicKey(keepSecret(user))];
  const asked: string[] = [];
  const signed: string[] = [];
  const clients: string[] = [...(options.clients ?? [])];
  const keyOf = (peer: string) => nip44.utils.getConversationKey(secret, peer);
  const userKeyOf = (peer: string) => nip44.utils.getConversationKey(user, peer);

  const answerHonestly = (client: string, { method, params }: Question): Reply => {
    const [first = '', second = ''] = params;
    if (method === 'connect') {
      if (first !== pubkey || second !== token || clients.includes(client)) return { error: 'unauthorized' };
      clients.push(client);
      return { result: 'ack' };
    }
    if (!clients.includes(client)) return { error: 'unauthorized' };
    switch (method) {
      case 'ping':
        return { result: 'pong' };
      case 'get_public_key':
        return { result: userPubkey };
      case 'sign_event': {
        const event = finalizeEvent(JSON.parse(first) as EventTemplate, user);
        signed.push(event.id);
        return { result: JSON.stringify(event) };
      }
      case 'nip44_encrypt':
        return { result: nip44.encrypt(second, userKeyOf(first)) };
      case 'nip44_decrypt':
        try {
          return { result: nip44.decrypt(second, userKeyOf(first)) };
        } catch {
          return { error: 'invalid MAC' };
        }
      default:
        return { error: `unknown method ${method}` };
    }
  };

  const socket = new WebSocket(relay);
  const say = async (client: string, id: string, replies: readonly (Reply | Promise<Reply>)[]): Promise<void> => {
    for (const reply of replies) {
      const template = {
        kind: 24133,
        created_at: Math.floor(Date.now() / 1000),
        tags: [['p', client]],
        content: nip44.encrypt(JSON.stringify({ id, ...(await reply) }), keyOf(client)),
      };
      socket.send(JSON.stringify(['EVENT', finalizeEvent(template, secret)]));
    }
  };
  await new Promise((done, fail) => socket.once('open', done).once('error', fail));
  socket.on('message', (data: Buffer) => {
    const [verb, , event] = JSON.parse(data.toString()) as [string, string, Parameters<typeof verifyEvent>[0]];
    if (verb !== 'EVENT' || !verifyEvent(event)) return;
    const { id, ...question } = JSON.parse(nip44.decrypt(event.content, keyOf(event.pubkey))) as Question & {
      id: string;
    };
    const [first = ''] = question.params;
    asked.push(
      question.method === 'sign_event' ? `sign_event:${(JSON.parse(first) as EventTemplate).kind}` : question.method,
    );
    const honest = () => answerHonestly(event.pubkey, question);
    const reply = behave(question, honest);
    if (reply === null) return;
    const replies = reply === undefined ? [honest()] : Array.isArray(reply) ? (reply as Reply[]) : [reply as Reply];
    void say(event.pubkey, id, replies);
  });
  socket.on('error', () => undefined);
  const ready = new Promise((done) =>
    socket.on('message', (data: Buffer) => data.toString().startsWith('["EOSE"') && done(undefined)),
  );
  socket.send(JSON.stringify(['REQ', 'bunker', { kinds: [24133], '#p': [pubkey], limit: 0 }]));
  await ready;
  const close = (): Promise<void> =>
    new Promise((done) => {
      if (socket.readyState === WebSocket.CLOSED) return done();
      socket.once('close', () => done());
      socket.terminate();
    });
  onTestFinished(close);
  const query = new URLSearchParams({ relay, secret: token });
  return { uri: `bunker://${pubkey}?${query.toString()}`, pubkey, user: userPubkey, asked, signed, clients, close };
}
