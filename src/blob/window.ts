/**
 * How many chunks may be in flight to one relay: additive increase, multiplicative decrease, as TCP does it (Chiu, Jain 1989,
 * "Analysis of the increase and decrease algorithms for congestion avoidance"). The round trip, not the bandwidth, is what
 * a window hides: 100 Mbit/s and 50 ms fill 10 chunks, loopback fills one.
 */
export interface WindowBounds {
  readonly first: number;
  readonly min: number;
  readonly max: number;
}

export const BOUNDS: WindowBounds = { first: 64, min: 8, max: 256 };

/** Slower answers than this come out of a queue, which a larger window would only make longer. */
const QUEUE_MS = 1_000;

export class Window {
  readonly #bounds: WindowBounds;
  #size: number;
  /** Doubles with every window that went through, until the first trouble: slow start. */
  #isStarting = true;
  /** Answers since the last change. */
  #answers = 0;
  /** Answers to what was in flight at the last decrease say nothing new. */
  #stale = 0;

  constructor(bounds: WindowBounds = BOUNDS) {
    this.#bounds = bounds;
    this.#size = bounds.first;
  }

  get size(): number {
    return this.#size;
  }

  /** One more for every window that went through. @param tookMs  from sending to the answer */
  onStored(tookMs: number): void {
    if (this.#stale > 0) this.#stale--;
    else if (tookMs >= QUEUE_MS) this.#answers = 0;
    else if (++this.#answers >= (this.#isStarting ? 1 : this.#size)) {
      this.#answers = 0;
      this.#size = Math.min(this.#bounds.max, this.#size + 1);
    }
  }

  /** Half, once for all that was in flight together. @param inFlight  besides the one that was answered */
  onTrouble(inFlight: number): void {
    if (this.#stale > 0) {
      this.#stale--;
      return;
    }
    this.#isStarting = false;
    this.#answers = 0;
    this.#stale = inFlight;
    this.#size = Math.max(this.#bounds.min, Math.floor(this.#size / 2));
  }
}
