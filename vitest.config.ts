import { defineConfig } from 'vitest/config';
import { keepOutput } from './test/support/secrets/outputs.js';

/** Three workers for two processors: many tests wait for processes, relays and clocks of their own. */
const shared = { pool: 'forks' as const, maxWorkers: 3, setupFiles: ['test/support/secrets/taps.ts'] };
const SHORT = { testTimeout: 30_000, hookTimeout: 30_000 };

const STORIES = 'test/stories/**/*.test.ts';
/** A backend of TensorFlow.js, and whose output is kept, are the process's own. */
const ALONE = ['test/kernels/**/*.test.ts', 'test/secrets/**/*.test.ts'];

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
          ...SHORT,
          name: 'parts',
          // Files share a process, and what it has loaded and compiled: a third less time than apart.
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: [STORIES, ...ALONE, 'test/interop/**'],
        },
      },
      { test: { ...shared, ...SHORT, name: 'alone', include: ALONE } },
      {
        test: {
          ...shared,
          name: 'stories',
          isolate: false,
          include: [STORIES],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
