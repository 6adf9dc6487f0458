import { defineConfig } from 'vitest/config';

/** Against other people's programs; each test prints SKIP and the reason where the program cannot be had. */
export default defineConfig({
  test: {
    reporters: ['default', './test/interop/summary.ts'],
    include: ['test/interop/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 600_000,
  },
});
