import { startRelay } from '../../src/relay/embedded.js';

/** The embedded relay on a disk, in a process of its own; each trainer has two connections. Arguments: folder. */
const relay = await startRelay({ port: 0, dir: process.argv[2]!, maxConnections: 4_000 });
process.send!({ url: relay.url });
process.on('message', () => void relay.close().then(() => process.exit()));
