import type { MemberEnv } from '../../src/roles/alliance/env.js';

/** What is better it measures as worse. */
export const contrary = (env: MemberEnv): MemberEnv => ({
  ...env,
  async engine() {
    const engine = await env.engine();
    const evaluate = engine.evaluate.bind(engine);
    return {
      ...engine,
      evaluate: async (...given) => ({
        ...(await evaluate(...given)),
        loss: 1 / (0.1 + (await evaluate(...given)).loss),
      }),
    };
  },
});
