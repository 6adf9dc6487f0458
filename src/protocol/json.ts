/**
 * JSON from outside that means one thing to every reader. What readers of other languages take differently is refused at
 * any depth: two equal keys in one object, a number with a point, an exponent or a minus on zero, a lone surrogate, a key
 * `__proto__` (whoever copies such an object key by key would change its prototype). Iterative, so that deep nesting
 * costs time in proportion to its length and no stack.
 *
 * @returns undefined when the text is not JSON or not of that form (no JSON text means undefined)
 */
export function parseJson(text: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const written = countKeys(text);
  return written !== undefined && written === distinctKeys(json) ? json : undefined;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Object keys in the whole value, each object's equal ones counted once; NaN when a text in it may not stand. */
function distinctKeys(json: unknown): number {
  let count = 0;
  const open: unknown[] = [json];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value === 'string' && LONE_SURROGATE.test(value)) return NaN;
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value as unknown[]) open.push(item);
      continue;
    }
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__' || LONE_SURROGATE.test(key)) return NaN;
      count++;
      open.push(item);
    }
  }
  return count;
}

const INTEGER = /^(-?[1-9][0-9]*|0)$/;

/** Keys as they are written, in a text that is JSON; undefined when a number in it is not written as an integer. */
function countKeys(text: string): number | undefined {
  let count = 0;
  for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"[ \t\n\r]*(:?)|[-0-9][-+.0-9eE]*/g)) {
    if (token.startsWith('"')) count += colon === ':' ? 1 : 0;
    else if (!INTEGER.test(token)) return undefined;
  }
  return count;
}
