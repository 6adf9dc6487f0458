import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Ends a run with one line for each test: whether it ran, how long it took, or why it was skipped. */
export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules.flatMap((module) => [
      `${relative('', module.moduleId)}`,
      ...[...module.children.allTests()].map((test) => `  ${lineOf(test)}`),
    ]);
    process.stdout.write(`\n${lines.join('\n')}\n`);
  }
}

function lineOf(test: TestCase): string {
  const result = test.result();
  const name = test.fullName;
  if (result.state === 'skipped') return `SKIP   ${name}: ${result.note ?? 'not asked for'}`;
  const seconds = ((test.diagnostic()?.duration ?? 0) / 1000).toFixed(1);
  return `${result.state === 'passed' ? 'ran   ' : 'FAILED'} ${name} (${seconds} s)`;
}
