/** A NIP-01 message is a JSON list; anything else is `undefined`. */
export function parseMessage(text: string): readonly unknown[] | undefined {
  try {
    const message: unknown = JSON.parse(text);
    return Array.isArray(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

/** Relay text for people: bounded, and without control characters that could move a terminal's cursor. */
export function messageOf(value: unknown): string {
  // eslint-disable-next-line no-control-regex
  return typeof value === 'string' ? value.slice(0, 300).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ') : '';
}
