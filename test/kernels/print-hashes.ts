import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels } from '../../src/kernels/install.js';
import { installNet } from '../../src/kernels/net.js';
import { useSharedMemory } from '../../src/kernels/memory.js';
import { hashOf, networks, STEPS, train } from './networks.js';

/**
 * `npx tsx test/kernels/print-hashes.ts [THREADS]` prints the hash of each network's weights after its training: on another release
 * of Node.js, with other flags of V8, or with threads (which then take every kernel that can be cut, however small).
 */
const threads = Number(process.argv[2] ?? 1);
if (threads > 1) await useSharedMemory();
else await tf.setBackend('wasm');
await installKernels(readKernels(), threads > 1 ? { threads, leastWork: 1 } : {});
installNet();
console.log(
  JSON.stringify(Object.fromEntries(networks.map((network) => [network.name, hashOf(train(network, STEPS))])), null, 2),
);
