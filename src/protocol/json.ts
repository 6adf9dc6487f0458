/**
 * JSON from outside. A key `__proto__` is refused at any depth: whoever copies such an object key by key would change its
 * prototype. Iterative, so that deep nesting costs time in proportion to its length and no stack.
 *
 * @returns undefined when the text is not JSON or holds such a key (no JSON text means undefined)
 */
export function parseJson(text: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const open: unknown[] = [json];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (Object.hasOwn(value, '__proto__')) return undefined;
    for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) open.push(child);
  }
  return json;
}
