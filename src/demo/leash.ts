import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into every child of the demo before its own code (`node --import`). The demo holds the other end of stdin and
 * writes nothing: when stdin ends, the demo is gone, however it died, and nobody is left to stop this process.
 */

/** How long the command may take to stop cleanly. */
const GRACE_MS = 3_000;

function leave(): void {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS).unref();
}

// Training threads inherit `--import`; their stdin is not the pipe.
if (isMainThread) {
  process.stdin.once('end', leave).once('error', leave).resume();
  // A pipe that is read would keep a finished command alive.
  (process.stdin as NodeJS.ReadStream & { unref?(): void }).unref?.();
}
