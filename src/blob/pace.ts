/**
 * How fast one relay takes events, found out from where it says `rate-limited:`. Most relays count by a token bucket: so many at once, then so
 * many a second. The pace is halved until the relay takes what comes, then searches between the last pace that was refused and the
 * present one, and beyond it by steps that double (as BIC does for the window of TCP: Xu, Harfoush, Rhee, INFOCOM 2004). Against a bucket it
 * stays within a tenth of the relay's rate, two to three of a hundred events being refused.
 *
 * Times are milliseconds of one clock. Until the first refusal there is no limit.
 */

const CUT_UNKNOWN = 0.5;
const CUT_KNOWN = 0.9;
const FIRST_STEP = 0.02;
/** A pace is believed after so many events, and so long. */
const EPOCH_EVENTS = 8;
const EPOCH_MS = 250;
/** Where there is nothing yet to go by. */
const FIRST_RATE = 32;
/** Events a second: faster needs no pacing, slower is for a relay that counts by the minute. */
const MAX_RATE = 1_000;
const MIN_RATE = 1 / 16;

export class Pace {
  /** Events a second. */
  #rate = Infinity;
  /** The last one that was refused. */
  #ceiling = Infinity;
  #step = FIRST_STEP;
  /** Did a pace hold for an epoch yet? */
  #isKnown = false;
  #firstAt: number | undefined;
  #nextAt = 0;
  #changedAt = 0;
  #cutAt = -Infinity;
  #stored = 0;
  #sinceChange = 0;

  get isLimited(): boolean {
    return this.#rate !== Infinity;
  }

  /** Null until one held for some events, or where none is needed. */
  get ratePerSec(): number | null {
    return this.#isKnown ? this.#rate : null;
  }

  /** How long the next event should wait. */
  waitMs(nowMs: number): number {
    return this.#rate === Infinity ? 0 : Math.max(0, this.#nextAt - nowMs);
  }

  onSent(nowMs: number): void {
    this.#firstAt ??= nowMs;
    if (this.#rate === Infinity) return;
    // A timer that fired late is made up for by one event, not by a burst.
    const everyMs = 1_000 / this.#rate;
    this.#nextAt = Math.max(this.#nextAt, nowMs - everyMs) + everyMs;
  }

  onStored(nowMs: number): void {
    this.#stored++;
    this.#sinceChange++;
    if (this.#rate === Infinity) return;
    const epochMs = Math.max(EPOCH_MS, (EPOCH_EVENTS * 1_000) / this.#rate);
    if (nowMs - this.#changedAt < epochMs || this.#sinceChange < EPOCH_EVENTS) return;
    this.#isKnown = true;
    const room = this.#ceiling - this.#rate;
    if (room > 2 * FIRST_STEP * this.#rate) {
      this.#step = FIRST_STEP;
      this.#change(this.#rate + room / 2, nowMs);
    } else {
      this.#change(this.#rate * (1 + this.#step), nowMs);
      this.#step = Math.min(1, this.#step * 2);
    }
  }

  /** @param sentMs  when the refused event was sent: what left before the last cut says nothing new */
  onLimited(sentMs: number, nowMs: number): void {
    if (sentMs <= this.#cutAt) return;
    if (this.#rate === Infinity) {
      const tookMs = Math.max(1, nowMs - (this.#firstAt ?? nowMs));
      this.#rate = Math.min(MAX_RATE, Math.max(FIRST_RATE, (1_000 * this.#stored) / tookMs));
    }
    this.#ceiling = this.#rate;
    this.#step = FIRST_STEP;
    this.#cutAt = nowMs;
    this.#change(Math.max(MIN_RATE, this.#rate * (this.#isKnown ? CUT_KNOWN : CUT_UNKNOWN)), nowMs);
    this.#nextAt = nowMs + 1_000 / this.#rate;
  }

  #change(rate: number, nowMs: number): void {
    this.#rate = rate;
    this.#changedAt = nowMs;
    this.#sinceChange = 0;
  }
}
