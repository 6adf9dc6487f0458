import { startBackends } from './cases.js';
import { hashOf, networks, STEPS, train } from './networks.js';

/** Prints the hash of each network's weights after its training, for a process with other flags of V8. */
await startBackends();
console.log(
  JSON.stringify(Object.fromEntries(networks.map((network) => [network.name, hashOf(train(network, STEPS))]))),
);
