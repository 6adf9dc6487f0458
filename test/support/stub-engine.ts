export * from '../../src/simulate/stub-engine.js';
