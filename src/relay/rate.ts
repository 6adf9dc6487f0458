/** Answers to messages that come too fast, made from their first bytes: they are not worth a parser. */

const HEAD_BYTES = 512;
const HEAD = /^\s*\[\s*"(EVENT|REQ|COUNT|NEG-OPEN|NEG-MSG)"\s*,\s*(?:"([^"\\]{1,64})"|\{)/;
const EVENT_ID = /"id"\s*:\s*"([0-9a-f]{64})"/;

export function refusalOf(frame: Buffer, perSec: number): readonly unknown[] {
  const reason = `rate-limited: at most ${perSec} messages a second`;
  const head = frame.toString('utf8', 0, HEAD_BYTES);
  const [, verb, id] = HEAD.exec(head) ?? [];
  const eventId = verb === 'EVENT' ? EVENT_ID.exec(head)?.[1] : undefined;
  if (eventId !== undefined) return ['OK', eventId, false, reason];
  if (id === undefined || verb === undefined || verb === 'EVENT') return ['NOTICE', reason];
  return [verb.startsWith('NEG-') ? 'NEG-ERR' : 'CLOSED', id, reason];
}
