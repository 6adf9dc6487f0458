import { defineConfig } from 'vitest/config';

/** A run that shows a secret, for the test of the search. */
export default defineConfig({
  test: {
    include: ['test/secrets/planted/leaky.ts'],
    pool: 'forks',
    setupFiles: ['test/support/secrets/taps.ts'],
    globalSetup: ['test/support/global-secrets.ts'],
  },
});
