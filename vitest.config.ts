import { defineConfig } from 'vitest/config';
import { keepOutput } from './test/support/secrets/outputs.js';

/** Three workers for two processors: many tests wait for processes, relays and clocks of their own. */
const shared = { pool: 'forks' as const, maxWorkers: 3, setupFiles: ['test/support/secrets/taps.ts'] };

/** Nothing in them lasts longer than a test: files share a process, and its modules. */
const SHARING = [
  'market',
  'learning',
  'protocol',
  'config',
  'docs',
  'shape',
  'terminal',
  'blob',
  'training',
  'relay',
  'wallet',
  'simulate',
  'secp',
].map((name) => `test/${name}/**/*.test.ts`);

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts', 'test/support/global-secrets.ts'],
    // The search for secrets when all tests have ended takes a few seconds.
    teardownTimeout: 120_000,
    onConsoleLog: (text) => void keepOutput('console', `${text}\n`),
    projects: [
      {
        test: {
          ...shared,
          name: 'sharing',
          isolate: false,
          include: SHARING,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: ['test/stories/**', 'test/interop/**', ...SHARING],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'stories',
          include: ['test/stories/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
