import { defineConfig } from 'vitest/config';

/** Two workers: the tests also start relays, training threads and whole processes of their own. */
const shared = { pool: 'forks' as const, maxWorkers: 2, globalSetup: ['test/support/global-setup.ts'] };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: ['test/stories/**', 'test/interop/**'],
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
