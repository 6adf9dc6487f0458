import { eventTexts } from '../../src/relay/event-json.js';
import { readEventFrame, readSubscribedEvent } from '../../src/relay/event-frame.js';
import { noise } from '../blob/samples.js';
import { note, NOW } from '../relay/samples.js';
import { mutateText, type Random } from './mutate.js';
import * as reference from './reference/events.js';
import { target, type Target } from './target.js';

/** Messages with a chunk, which are read without JSON.parse: what that way takes, JSON holds just so. */

const base64 = (bytes: number): string => Buffer.from(noise(bytes, 'frame')).toString('base64');
const large = [1_024, 3_000, 3_001, 3_002].map((bytes) =>
  note('a', { kind: 4621, content: base64(bytes), tags: [['expiration', String(NOW + 9)]] }),
);
const samples = [
  ...large,
  note('b', { kind: 4621, content: base64(2_000) }),
  note('b', { content: 'word '.repeat(400), tags: [['t', 'ä"\\']] }),
];
const EDGE_CHARS = 420;
const PREFIX = '["EVENT",';

/** Around the content, where everything else is; or one place inside of it. */
function brokenFrame(random: Random): string {
  const text = JSON.stringify(['EVENT', random.pick(samples)]);
  const [head, tail] = [text.slice(0, EDGE_CHARS), text.slice(-EDGE_CHARS)];
  const middle = text.slice(EDGE_CHARS, -EDGE_CHARS);
  const which = random.below(4);
  if (which === 0) return text;
  if (which === 1) return mutateText(random, [head]) + middle + tail;
  if (which === 2) return head + middle + mutateText(random, [tail]);
  const at = random.below(middle.length);
  return (
    head +
    middle.slice(0, at) +
    random.pick(['"', '\\', '=', '-', ' ', '\n', '\0', 'é', '😀', '']) +
    middle.slice(at + 1) +
    tail
  );
}

function taken(text: string): unknown {
  const frame = Buffer.from(text);
  const read = text.startsWith(PREFIX) ? readEventFrame(frame, PREFIX.length) : undefined;
  if (read === undefined) return null;
  const { head, content, json, serialised } = read;
  return {
    event: { ...head, content: content.toString() },
    json: json.toString(),
    serialised: serialised.map((part) => part.toString()).join(''),
  };
}

const subscribed = (text: string): unknown => readSubscribedEvent(Buffer.from(text)) ?? null;

export const largeFrameTargets: readonly Target[] = [
  target('large events of a subscription', [], {
    make: (random) => brokenFrame(random).replace(PREFIX, random.pick([`${PREFIX}"n0",`, `${PREFIX}"n"0",`, PREFIX])),
    run: subscribed,
    reference: (text) => {
      if (subscribed(text) === null) return null;
      const [, subscription, value] = reference.readFrame(text);
      return { subscription, event: reference.readEvent(value) };
    },
  }),
  target('large events in frames', [], {
    make: brokenFrame,
    run: taken,
    reference: (text) => {
      if (taken(text) === null) return null;
      const [, value] = reference.readFrame(text);
      const event = reference.readEvent(value);
      return { event, ...eventTexts(event as never, false) };
    },
  }),
];
