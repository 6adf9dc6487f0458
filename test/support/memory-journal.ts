export * from '../../src/simulate/memory-journal.js';
