/**
 * Where a training stands, in a line: speed and time left since this run began.
 *
 * @param from  step at which this run began
 */
export function describeStep(at: {
  readonly from: number;
  readonly done: number;
  readonly total: number;
  readonly loss: number;
  readonly batch: number;
  readonly elapsedMs: number;
}): string {
  const { from, done, total, loss, batch, elapsedMs } = at;
  const stepsPerMs = (done - from) / Math.max(1, elapsedMs);
  const leftSec = Math.round((total - done) / stepsPerMs / 1000);
  const speed = `${Math.round(stepsPerMs * batch * 1000)} examples/s`;
  return `step ${done} of ${total}, loss ${loss.toFixed(4)}, ${speed}, ${describeSeconds(leftSec)} left`;
}

export function describeSeconds(sec: number): string {
  if (sec < 120) return `${sec} s`;
  return sec < 7_200 ? `${Math.round(sec / 60)} min` : `${(sec / 3_600).toFixed(1)} h`;
}
