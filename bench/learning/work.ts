import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { inTurns, startEngines } from './federation.js';
import type { Result, Run } from './runs.js';

/**
 * Runs what has no result yet, one per processor, and keeps each result as a line of a file where one is given: an interrupted bench goes on.
 *
 * @param file   lines of results of this bench; created
 * @param stopMs  begin nothing after so many milliseconds
 * @param most  engines at once
 */
export async function work(
  runs: readonly Run[],
  file?: string,
  stopMs = Infinity,
  most = availableParallelism(),
): Promise<Result[]> {
  const known = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  const results = known.filter((line) => line !== '').map((line) => JSON.parse(line) as Result);
  const nameOf = ({ group, row, seed }: Pick<Run, 'group' | 'row' | 'seed'>) => `${group}/${row}/${seed}`;
  const done = new Set(results.map(nameOf));
  const due = runs.filter((run) => !done.has(nameOf(run)));
  const engines = await startEngines(Math.max(1, Math.min(most, due.length)));
  const start = performance.now();
  await inTurns(engines, due, async (engine, run) => {
    if (performance.now() - start > stopMs) return;
    const began = performance.now();
    const { rounds, backdoor } = await run.start(engine);
    const result = {
      ...{ group: run.group, row: run.row, seed: run.seed },
      ...{ rounds, backdoor },
      seconds: (performance.now() - began) / 1000,
    };
    results.push(result);
    console.error(`${nameOf(run)}: ${result.rounds.at(-1)!.accuracy.toFixed(4)} in ${result.seconds.toFixed(0)} s`);
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(result)}\n`);
  });
  await Promise.all(engines.map((engine) => engine.close()));
  return results;
}
