/** Calls `onSilent` when the relay has said nothing for `timeoutMs`, or nothing about this for six times as long. */
export function watchSilence(
  link: { readonly heardAt: number },
  timeoutMs: number,
  onSilent: (ms: number) => void,
): { touch(): void; stop(): void } {
  let since = performance.now();
  let timer = setTimeout(check, timeoutMs);
  function check(): void {
    const now = performance.now();
    const quietMs = now - Math.max(since, link.heardAt);
    // Timers may fire a fraction early.
    if (quietMs + 1 >= timeoutMs || now - since >= 6 * timeoutMs) onSilent(Math.round(now - since));
    else timer = setTimeout(check, Math.ceil(timeoutMs - quietMs));
  }
  return {
    touch: () => void (since = performance.now()),
    stop: () => clearTimeout(timer),
  };
}
