import { NmktError } from '../errors.js';
import type { CommandModule } from './command.js';
import { accessFromFlags, addAccessFlags, rereadOnHangUp, type AccessFlags } from './relay-access.js';

/** A stream command: one `ready` line when it listens, then it serves until SIGINT or SIGTERM, which is a success. */
export const command: CommandModule = {
  configure(program) {
    program
      .addHelpText('before', '$ nmkt relay --port 7447 --dir relay-data\n$ nmkt relay --port 0 --memory --json\n')
      .option('--port <port>', 'port to listen on, 0 picks a free one', '7447')
      .option('--host <address>', 'address to listen on; others than loopback let other machines in', '127.0.0.1')
      .option('--dir <dir>', 'folder of the event log (default: relay in home)')
      .option('--memory', 'keep events in memory only: they are gone when the relay stops');
    addAccessFlags(program);
    program.addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { port, host, dir, memory } = options as unknown as RelayFlags;
    if (memory && dir !== undefined) {
      throw new NmktError('bad-usage', '--dir and --memory contradict each other', {
        remedy: 'nmkt relay --memory, or: nmkt relay --dir DIR',
        expected: 'one of them',
        got: `--dir ${dir} --memory`,
      });
    }
    const store = memory ? {} : { dir: dir ?? context.deps.home().path('relay') };
    const access = await accessFromFlags(options);
    const relay = await context.deps.startRelay({ port: parsePort(port), host, ...access, ...store });
    const kept = store.dir === undefined ? 'in memory only' : `in ${store.dir}`;
    const stopListening = rereadOnHangUp(options, access.access?.allowed, context);
    context.emit(
      { event: 'ready', relay: relay.url, dir: store.dir ?? null, pid: process.pid },
      `relay ${relay.url}, events ${kept}`,
    );
    await aborted(context.signal);
    stopListening();
    await relay.close();
    return {};
  },
};

const HELP = `
Serves until SIGINT or SIGTERM, status 0. With --json one line when it listens: {event: "ready", relay, dir, pid}, dir null in memory.

With --allow or --allow-file a connection may write when its event is signed by a key of the list, or when it logged in (NIP-42) with one: so
the keys of datasets, which are used once, need no place in the list. Gift wraps to a key of the list are taken from anyone, and requests to
delete (NIP-09, NIP-62) from whoever owns what they delete. Reading stays open, unless --private. SIGHUP reads --allow-file again: {event:
"allowed", keys}; a file that cannot be read leaves the keys of before.
A quota counts what a key signed; gift wraps count for their recipient, apart. What is deleted or has expired counts no more.`;

interface RelayFlags extends AccessFlags {
  readonly port: string;
  readonly host: string;
  readonly dir?: string;
  readonly memory?: boolean;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new NmktError('bad-usage', `--port ${text} is not a port`, {
    remedy: 'nmkt relay --port 7447',
    expected: 'an integer from 0 to 65535',
    got: text,
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
