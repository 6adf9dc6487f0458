import { ERRORS, isNmktError, NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { KINDS, PROTOCOL_TAG } from '../protocol/kinds.js';
import type { Filter, NostrEvent } from '../ports.js';
import { jobsOfHome } from './customer-ports.js';
import type { Context } from './command.js';
import type { customerPorts } from './customer-ports.js';

/** A process that serves others' jobs, as trainer or validator: which of them, how often, and what ends it. */

export interface JobServer {
  readonly context: Context;
  readonly ports: Awaited<ReturnType<typeof customerPorts>>;
  readonly stop: AbortSignal;
  readonly role: 'trainer' | 'validator';
  emit(job: EventId | null, event: string, fields: Record<string, unknown>, text: string): void;
}

/** How work on one job ended; `wasOver`: before this run did anything. */
interface AnyEnd {
  readonly end: string;
  readonly wasOver: boolean;
  readonly why?: string;
}

/** Old jobs end by their deadlines; what this home began is found in its own folder. */
const LOOK_BACK_SEC = 7 * 86_400;
const RETRY_MS = 30_000;

/**
 * Every job that appears, several at a time. With `once` the first job done ends it; one that was over before this run began only
 * when nothing else is open, so that a second run gives the same result and a new job is not missed.
 * @returns the end that satisfied `once`, or null when stopped
 */
export async function serveEach<End extends AnyEnd>(
  server: JobServer,
  serveOne: (event: NostrEvent, isNamed: boolean) => Promise<End | null>,
  only: EventId | undefined,
  once: boolean,
): Promise<End | null> {
  const { relays, clock } = server.ports;
  const recent = { kinds: [KINDS.job], '#t': [PROTOCOL_TAG], since: clock.nowSec() - LOOK_BACK_SEC };
  const filters: Filter[] = only === undefined ? [recent, ...(await begunJobs(server))] : [{ ids: [only] }];
  const begun = new Set<string>();
  let working = 0;
  let finishedBefore: End | null = null;
  let failedBefore: unknown;
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const finish = (end: End | null): void => {
      stop.abort();
      resolve(end);
    };
    const fail = (error: unknown): void => {
      stop.abort();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const begin = (event: NostrEvent): void => {
      if (begun.has(event.id) || server.stop.aborted || stop.signal.aborted) return;
      begun.add(event.id);
      working++;
      serveOne(event, only !== undefined)
        .then((end) => {
          working--;
          if (!once) return;
          if (end?.end === 'done' && !end.wasOver) finish(end);
          else if (end?.end === 'done') finishedBefore = end;
          else if (end !== null && only !== undefined) fail(notDone(server.role, event.id, end));
          settleOnce();
        })
        .catch((error: unknown) => {
          working--;
          if (server.stop.aborted) return;
          if (only !== undefined || (once && working === 0)) return fail(error);
          failedBefore = error;
          // Months of service outlast a relay's restart: what may be tried again is.
          if (isNmktError(error) && ERRORS[error.code].retry) void again(event);
          tellError(server, event.id, error);
        });
    };
    const again = async (event: NostrEvent): Promise<void> => {
      await clock.wait(RETRY_MS, AbortSignal.any([server.stop, stop.signal]));
      begun.delete(event.id);
      begin(event);
    };
    const settleOnce = (): void => {
      if (!isStocked || working > 0) return;
      if (finishedBefore !== null) finish(finishedBefore);
      else if (failedBefore !== undefined) fail(failedBefore);
    };
    let isStocked = false;
    const stock = async (): Promise<void> => {
      const { events, answered } = await relays.fetch(filters);
      if (answered.length === 0)
        server.context.progress.warn(`no relay answers: ${relays.urls.join(', ')}; jobs are served once one does`);
      if (only !== undefined && events.length === 0 && answered.length > 0) return fail(unknownJob(only, answered));
      events.forEach(begin);
      isStocked = true;
      settleOnce();
      if (stop.signal.aborted) return;
      const subscription = relays.subscribe(filters, begin);
      stop.signal.addEventListener('abort', () => subscription.close(), { once: true });
    };
    if (server.stop.aborted) return finish(null);
    server.stop.addEventListener('abort', () => finish(null), { once: true });
    stock().catch(fail);
  });
}

/** Jobs that this home signed something for. */
async function begunJobs({ ports }: JobServer): Promise<Filter[]> {
  const ids = await jobsOfHome(ports.files);
  return ids.length === 0 ? [] : [{ ids }];
}

function notDone(role: JobServer['role'], job: string, { end, why = end }: AnyEnd): NmktError {
  const code = end === 'cancelled' ? 'job-closed' : 'not-awarded';
  return new NmktError(code, `job ${job.slice(0, 12)}… is over for this ${role}: ${why}`, {
    expected: end === 'cancelled' ? 'a job that goes on' : 'a seat',
    got: why,
    remedy: 'serve other jobs: leave out --job',
  });
}

function unknownJob(job: string, answered: readonly string[]): NmktError {
  return new NmktError('job-unknown', `no relay has job ${job.slice(0, 12)}…`, {
    expected: 'a job',
    got: `nothing from ${answered.join(', ')}`,
    remedy: 'check the id, or name its relay with --relay',
  });
}

/** Why a job ends here; the others go on. */
function tellError(server: JobServer, job: EventId, error: unknown): void {
  if (!isNmktError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return server.emit(job, 'error', { message }, `error: ${message}`);
  }
  const { message, code, expected, got } = error;
  const found = expected === undefined ? '' : `: expected ${expected}, got ${got}`;
  server.emit(job, 'error', { message, code, expected, got }, `error: ${message}${found}`);
}
