import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { openLiveView } from '../demo/live-view.js';
import type { DemoPlan } from '../demo/plan.js';
import { createProcesses } from '../demo/processes.js';
import { summaryText, type DemoResult } from '../demo/summary.js';
import { writeNewDigits } from '../demo/digits-files.js';
import { NmktError } from '../errors.js';
import { quoted } from '../terminal/call.js';
import { MODEL_NAMES } from '../learning/model-choice.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { allianceDemoText, runAlliance } from './demo-alliance.js';
import { arenaDemoText, runArena } from './demo-arena.js';
import { runMarket, type DemoTools } from './demo-market.js';
import { addModeFlag, readMode, type Mode } from './job-mode.js';

const DEFAULT_MODEL_DIR = 'nmkt-demo-model';

export const command: CommandModule = {
  configure(program) {
    addModeFlag(
      program,
      'federated; arena: models of their own choice, ranked; alliance: members with data of their own',
    );
    program
      .option('--trainers <n>', 'how many trainers take part, with a shard each (default 3; members of an alliance: 6)')
      .option('--validators <n>', 'how many validators score beside the customer (default 0; in an arena 3)')
      .option('--rounds <n>', 'how often they train and are paid', '3')
      .option('--model <name>', 'mlp, logreg, cnn (images) or gpt (text)', 'mlp')
      .option(
        '--data <path>',
        'your own data instead of drawn digits: CSV, TSV, JSON lines, Parquet, IDX images, text (.txt), or a folder',
      )
      .option('--label <column>', 'table: the column to predict, by name or 0-based number')
      .option('--test <path>', 'data to measure the model on at the end (default: split off)')
      .option('--price <sats>', 'what each trainer asks per accepted round; 0 makes a free job', '300')
      .option('--dir <dir>', 'keep everything there, and go on there when run again (default: a temporary folder)')
      .option('--keep', 'keep the temporary folder, with a log of each process')
      .addHelpText(
        'before',
        '$ nmkt demo\n$ nmkt demo --trainers 4 --rounds 5 --dir my-demo\n$ nmkt demo --data wine.csv --label quality --model logreg --json\n',
      )
      .addHelpText(
        'after',
        `
Starts a relay with play-money wallets, a customer and trainers, each a process of its own on this machine.
The customer publishes an encrypted dataset; the trainers bid, train their shards and are paid over
Lightning after each accepted round. Nothing leaves this machine and no real money moves.

The model is written to ./${DEFAULT_MODEL_DIR}, or to DIR/model with --dir.
With --json one document: {accuracy, rounds, trainers: [{pubkey, rounds, paidMsat}], paidMsat, invoices,
audit, modelDir, wallSeconds, chance, initialAccuracy, soloAccuracy}, with --validators also validators: [{pubkey,
rounds, paidMsat}]; accuracies are in [0, 1], on data that
nobody trained on; soloAccuracy is what one trainer reaches alone with as many epochs.
With --mode arena {mode, winner, architecture, loss, trainers: [{pubkey, rank, loss, paidMsat}], validators: [{pubkey, scored, paidMsat}],
paidMsat, audit, modelDir, wallSeconds}; with --mode alliance {mode, accuracy, initialAccuracy, soloAccuracy, totalRounds, rounds (accepted), members: [{pubkey, proposed, voted, paidMsat}],
paidMsat, audit, modelDir, wallSeconds}.`,
      );
  },

  async run(_args, options, context) {
    const mode = readMode(options);
    const plan = await readPlan(optionsOf(mode, options), context);
    const view = openLiveView({
      stream: process.stderr,
      env: process.env,
      isQuiet: options['quiet'] === true,
      isPlain: options['color'] === false,
      nowMs: () => context.deps.clock.nowMs(),
      note: (line) => context.progress.note(line),
    });
    const processes = createProcesses(plan.dir, process.env);
    const stop = (): void => {
      view.stop(false);
      void processes.stopAll();
    };
    context.signal.addEventListener('abort', stop, { once: true });
    try {
      return await demonstrate(plan, { context, processes, view }, mode);
    } catch (error) {
      if (!context.signal.aborted) throw error;
      throw new NmktError('interrupted', 'the demo was stopped, and every process of it', {
        remedy: plan.isTemporary ? 'run it again: it starts afresh' : 'run the same command again to go on',
        cause: error,
      });
    } finally {
      view.stop(false);
      await processes.stopAll();
      if (plan.isTemporary) await discard(plan.dir, options['keep'] === true, context);
    }
  },
};

async function discard(dir: string, isKept: boolean, { progress }: Context): Promise<void> {
  if (isKept) progress.note(`kept in ${dir}`);
  else await rm(dir, { recursive: true, force: true });
}

async function demonstrate(plan: DemoPlan, tools: DemoTools, mode: Mode): Promise<Outcome> {
  const { deps } = tools.context;
  const startedMs = deps.clock.nowMs();
  if (mode !== 'federated') {
    const found = mode === 'arena' ? await runArena(plan, tools) : await runAlliance(plan, tools);
    const wallSeconds = Math.round((deps.clock.nowMs() - startedMs) / 100) / 10;
    const value = { ...found, modelDir: plan.modelDir, wallSeconds };
    const dir = shownPath(plan.modelDir);
    const text =
      found.mode === 'arena' ? arenaDemoText(found, dir, wallSeconds) : allianceDemoText(found, dir, wallSeconds);
    const file = await writeNewDigits(plan.modelDir);
    return { ...{ value, text }, next: `nmkt predict ${quoted(dir)} ${quoted(shownPath(file))}` };
  }
  const found = await runMarket(plan, tools);
  const file = plan.data?.test ?? plan.data?.path ?? (await writeNewDigits(plan.modelDir));
  const wallSeconds = Math.round((deps.clock.nowMs() - startedMs) / 100) / 10;
  const result: DemoResult = { ...found, modelDir: shownPath(plan.modelDir), wallSeconds };
  tools.view.stop(true);
  const { accuracy, rounds, trainers, paidMsat, invoices, audit, chance, initialAccuracy, soloAccuracy } = result;
  const value = {
    accuracy,
    rounds,
    trainers: trainers.map((trainer) => ({
      pubkey: trainer.pubkey,
      rounds: trainer.rounds,
      paidMsat: trainer.paidMsat,
    })),
    paidMsat,
    invoices,
    audit,
    modelDir: plan.modelDir,
    wallSeconds,
    chance,
    initialAccuracy,
    soloAccuracy,
    ...(result.validators.length > 0 && {
      validators: result.validators.map(({ pubkey, rounds: scored, paidMsat: paid }) => ({
        ...{ pubkey, rounds: scored, paidMsat: paid },
      })),
    }),
  };
  const text = summaryText(result);
  if (audit === 'FAIL')
    throw new NmktError('audit-failed', 'the audit of the demo fails', {
      expected: 'a chain of events that follows the rules',
      got: found.finding ?? 'an event that does not follow',
      remedy: 'run the demo again with --keep and report it with the logs',
      value: { value, text },
    });
  return {
    value,
    text,
    next: `nmkt predict ${quoted(shownPath(plan.modelDir))} ${quoted(shownPath(file))}`,
    ...(found.isPartlyPaid ? { exit: 7 } : {}),
  };
}

/** With the defaults of a mode. @throws NmktError `bad-usage` for what its demo has not */
function optionsOf(mode: Mode, options: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (mode === 'federated') return { trainers: '3', validators: '0', ...options };
  const lacking = ['data', 'label', 'test', ...(mode === 'alliance' ? ['validators'] : [])];
  const given = lacking.find((name) => options[name] !== undefined);
  if (given !== undefined)
    throw new NmktError('bad-usage', `the demo of mode ${mode} has no --${given}`, {
      expected: mode === 'arena' ? 'digits, trainers and validators' : 'digits, proposers and voters',
      got: `--${given}`,
      remedy: `leave out --${given}`,
    });
  optionalInteger(options['trainers'], '--trainers', mode === 'arena' ? 2 : 5, 32);
  optionalInteger(options['validators'], '--validators', 3, 15);
  return mode === 'arena'
    ? { trainers: '3', validators: '3', ...options }
    : { trainers: '6', validators: '0', ...options };
}

/** @throws NmktError `bad-usage`, `bad-settings` */
async function readPlan(options: Readonly<Record<string, unknown>>, { deps }: Context): Promise<DemoPlan> {
  const text = (name: string): string | undefined =>
    typeof options[name] === 'string' && options[name] !== '' ? options[name] : undefined;
  const integer = (name: string, min: number, max: number): number =>
    optionalInteger(options[name], `--${name}`, min, max)!;
  const model = MODEL_NAMES.find((name) => name === text('model'));
  if (model === undefined)
    throw new NmktError('bad-usage', `--model ${text('model') ?? ''} is unknown`, {
      expected: MODEL_NAMES.join(', '),
      got: text('model') ?? 'nothing',
      remedy: 'nmkt demo --model mlp',
    });
  const counts = {
    trainers: integer('trainers', 1, 32),
    validators: integer('validators', 0, 32),
    rounds: integer('rounds', 1, 1_000),
    priceSats: integer('price', 0, 1_000_000),
  };
  const [path, label, test] = [text('data'), text('label'), text('test')];
  if (path === undefined && (label !== undefined || test !== undefined))
    throw new NmktError('bad-usage', '--label and --test describe your own data', {
      expected: '--data PATH beside them',
      got: 'no --data',
      remedy: 'nmkt demo --data FILE --label COLUMN',
    });
  if (deps.network === 'bitcoin' || deps.network === 'signet' || deps.network === 'testnet')
    throw new NmktError('bad-settings', 'the demo runs on play money only', {
      expected: 'the network sandbox',
      got: `${deps.network}, from ${deps.settings().network.origin}`,
      remedy: 'nmkt demo --network sandbox',
    });
  const dir = text('dir');
  const modelDir = dir === undefined ? resolve(DEFAULT_MODEL_DIR) : resolve(dir, 'model');
  await refuseForeignFolder(modelDir);
  if (dir !== undefined) await mkdir(dir, { recursive: true, mode: 0o700 });
  return {
    ...counts,
    model,
    data:
      path === undefined
        ? null
        : { path: resolve(path), ...(label && { label }), ...(test && { test: resolve(test) }) },
    dir: dir === undefined ? await mkdtemp(join(tmpdir(), 'nmkt-demo-')) : resolve(dir),
    isTemporary: dir === undefined,
    modelDir,
    engine: deps.settings().engine.value,
  };
}

/** The model of an earlier demo is replaced, nothing else is. */
async function refuseForeignFolder(folder: string): Promise<void> {
  const files = await readdir(folder).catch((): string[] => []);
  if (files.length === 0 || files.includes('model.json')) return;
  throw new NmktError('bad-usage', `${folder} is there and holds no model`, {
    expected: 'a new folder, or one of an earlier demo',
    got: files.slice(0, 5).join(', '),
    remedy: 'nmkt demo --dir DIR',
  });
}

/** The shorter of both ways to write it. */
function shownPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short !== '' && short.length < path.length && !short.startsWith('..') ? short : path;
}
