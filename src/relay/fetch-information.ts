import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Clock } from '../ports.js';
import { lookupFor } from './relay-url.js';

/** What a relay says of itself (NIP-11), as far as a market cares. All of it is the relay's word. */
export interface RelayInformation {
  readonly name: string;
  readonly software: string;
  readonly version: string;
  readonly needsAuth: boolean;
  readonly needsPayment: boolean;
  /** Leading zero bits that the ids of events need (NIP-13); 0 where it names none. */
  readonly powBits: number;
  /** Null where it sets no limit. */
  readonly maxMessageBytes: number | null;
  readonly maxContentBytes: number | null;
  readonly maxSubscriptions: number | null;
  readonly maxTags: number | null;
}

export interface InformationAnswer {
  /** Null when there is none; `problem` says why, else it is empty. */
  readonly information: RelayInformation | null;
  readonly problem: string;
  /** The relay's clock minus this one by its HTTP `Date`, in seconds, good to about one; null without that header. */
  readonly clockAheadSec: number | null;
}

const MAX_BYTES = 65_536;
const MAX_TEXT_CHARS = 60;

/**
 * The NIP-11 document of a relay; no redirect is followed. Never throws: no answer is an answer.
 *
 * @param url  checked (checkRelayUrl)
 */
export async function fetchInformation(url: string, clock: Clock, timeoutMs = 5_000): Promise<InformationAnswer> {
  const sentMs = clock.nowMs();
  const answer = await get(url.replace(/^ws/, 'http'), lookupFor(url), timeoutMs);
  if (typeof answer === 'string') return { information: null, problem: answer, clockAheadSec: null };
  // The header is cut to whole seconds: on average half a second more has passed.
  const heldMs = (sentMs + clock.nowMs()) / 2;
  const dateMs = Date.parse(answer.date);
  const clockAheadSec = Number.isNaN(dateMs) ? null : (dateMs + 500 - heldMs) / 1000;
  if (answer.status !== 200) return { information: null, problem: `HTTP status ${answer.status}`, clockAheadSec };
  const information = readInformation(answer.body);
  return { information, problem: information === null ? 'no NIP-11 document' : '', clockAheadSec };
}

interface HttpAnswer {
  readonly status: number;
  readonly date: string;
  readonly body: string;
}

/** @returns the answer, or why there is none */
function get(url: string, lookup: ReturnType<typeof lookupFor>, timeoutMs: number): Promise<HttpAnswer | string> {
  return new Promise((resolve) => {
    const send = url.startsWith('https:') ? requestHttps : requestHttp;
    const request = send(url, {
      headers: { Accept: 'application/nostr+json' },
      signal: AbortSignal.timeout(timeoutMs),
      agent: false,
      ...(lookup && { lookup }),
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        parts.push(part);
        if (bytes <= MAX_BYTES) return;
        resolve(`a document above ${MAX_BYTES} bytes`);
        response.destroy();
      });
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          date: response.headers.date ?? '',
          body: Buffer.concat(parts).toString('utf8'),
        }),
      );
    });
    request.end();
  });
}

function readInformation(body: string): RelayInformation | null {
  try {
    const document = recordOf(JSON.parse(body));
    if (document === null) return null;
    const limitation = recordOf(document['limitation']) ?? {};
    return {
      name: textOf(document['name']),
      software: textOf(document['software']),
      version: textOf(document['version']),
      needsAuth: limitation['auth_required'] === true,
      needsPayment: limitation['payment_required'] === true,
      powBits: Math.min(countOf(limitation['min_pow_difficulty']) ?? 0, 256),
      maxMessageBytes: countOf(limitation['max_message_length']),
      maxContentBytes: countOf(limitation['max_content_length']),
      maxSubscriptions: countOf(limitation['max_subscriptions']),
      maxTags: countOf(limitation['max_event_tags']),
    };
  } catch {
    return null;
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

function textOf(value: unknown): string {
  // eslint-disable-next-line no-control-regex -- a relay's words reach a terminal
  return typeof value === 'string' ? value.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, MAX_TEXT_CHARS) : '';
}

function countOf(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : null;
}
