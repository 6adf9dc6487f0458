/**
 * JSON with exact integers: a bigint stands as `{"$bigint":"123"}`. Everything else is plain JSON, so a journal can be
 * read with `jq`. Bytes are not encoded: keep them as hex.
 *
 * @throws TypeError for values that would not come back equal (bytes, non-finite numbers, an object with `$bigint`)
 */
export function encodeRecord(record: unknown): string {
  return JSON.stringify(record, (_key, value: unknown) => {
    if (typeof value === 'bigint') return { $bigint: String(value) };
    if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`a journal cannot hold ${value}`);
    if (ArrayBuffer.isView(value)) throw new TypeError('a journal cannot hold bytes: use hex');
    if (isBigintForm(value) && !isEncoded(value)) throw new TypeError('the field $bigint is reserved');
    return value;
  });
}

/** @throws SyntaxError */
export function decodeRecord(line: string): unknown {
  return JSON.parse(line, (_key, value: unknown) =>
    isBigintForm(value) && isEncoded(value) ? BigInt(value.$bigint) : value,
  );
}

function isBigintForm(value: unknown): value is { readonly $bigint: unknown } {
  return typeof value === 'object' && value !== null && '$bigint' in value;
}

function isEncoded(value: { readonly $bigint: unknown }): value is { readonly $bigint: string } {
  return typeof value.$bigint === 'string' && /^-?\d{1,1000}$/.test(value.$bigint);
}
