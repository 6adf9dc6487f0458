export * from '../../src/simulate/virtual-clock.js';
