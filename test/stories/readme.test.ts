import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { binary, finished, isolatedEnv } from '../support/run-nmkt.js';
import { storyFolder } from '../support/story.js';

/** The three shells of the README, line by line as they stand there, `npx nmkt` being the binary of this tree. */

const HEADING = '## Start: init, first job, first trainers';

function linesOf(shell: number): readonly string[] {
  const section = readFileSync('README.md', 'utf8').split(HEADING)[1]!;
  const lines = section.split('```')[1]!.split('\n');
  return lines.filter((line) => line.startsWith(`${shell}$ `)).map((line) => line.slice(3));
}

it('the lines of the README lead from an empty folder to a first job, paid trainers and an audited model', async () => {
  const folder = storyFolder();
  symlinkSync(resolve('examples'), join(folder, 'examples'));
  const shell = (line: string): ChildProcess => {
    const words = line.replaceAll('npx nmkt', `'${process.execPath}' '${binary}'`);
    const child = spawn('bash', ['-c', words], { cwd: folder, env: isolatedEnv(folder), detached: true });
    onTestFinished(() => {
      // The whole group, for a shell does not end what it started.
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
    });
    return child;
  };
  const [sandbox, ...none] = linesOf(1);
  expect(none).toEqual([]);
  await new Promise<void>((ready) => {
    shell(sandbox!).stdout!.once('data', () => ready());
  });

  const outputs: string[] = [];
  let job = '';
  let trainers: Promise<{ status: number | null; stdout: string }> | undefined;
  for (const line of linesOf(2)) {
    const { status, stdout, stderr } = await finished(shell(line.replaceAll('JOB', job)));
    expect(status, `${line}\n${stderr}`).toBe(0);
    outputs.push(stdout);
    job = /^job +([0-9a-f]{64})$/m.exec(stdout)?.[1] ?? job;
    if (line.includes('publish-dataset')) trainers = finished(shell(`${linesOf(3).join('\n')}\nwait`));
  }
  expect(outputs.at(-1)).toMatch(/^verdict +PASS$/m);
  const { status, stdout } = await trainers!;
  expect([status, stdout.match(/done: 3 rounds, 300 sat/g)]).toEqual([0, Array(3).fill('done: 3 rounds, 300 sat')]);
});
