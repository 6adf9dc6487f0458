export * from '../../src/simulate/memory-file.js';
