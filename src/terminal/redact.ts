/** Everything printed passes here, so that no secret leaves through a message, a log line of a library or a stack. */

const known = new Set<string>();
const hidden = '[secret]';

/** From now on this text is never printed. Short texts are ignored: hiding them would hide half of everything. */
export function keepSecret(text: string): void {
  if (text.length >= 16) known.add(text);
}

/**
 * Hides NIP-19 private keys, encrypted ones (NIP-49), the secrets in addresses of wallets (NIP-47: hex) and of bunkers
 * (NIP-46: any text), and what `keepSecret` was told.
 */
export function redact(text: string): string {
  let clean = text
    .replace(/(nsec1|ncryptsec1)[02-9ac-hj-np-z]{20,}/gi, `$1${hidden}`)
    .replace(/(secret(?:=|%3D))[0-9a-f]{64}/gi, `$1${hidden}`)
    .replace(/((?:[?&]|%3F|%26)secret(?:=|%3D))[^&\s"'<>%[][^&\s"'<>]*/gi, `$1${hidden}`);
  for (const secret of known) if (clean.includes(secret)) clean = clean.replaceAll(secret, hidden);
  return clean;
}
