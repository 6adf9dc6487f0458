import { cpus } from 'node:os';
import { noDigits } from './learning/data.js';
import { firstAt, spreadOf, startEngines, text, type MeasuredRound } from './learning/federation.js';
import { DEFAULT_SETTING, measurePay, OTHER_SETTINGS, type PayRow } from './learning/pay.js';
import { allRuns, FULL, GPT_ROWS, isBounded, LONGER, SHORT, type Result } from './learning/runs.js';
import { work } from './learning/work.js';
import type { BenchResult, BenchTarget } from './run.js';

/**
 * What federated learning costs and withstands, on MNIST and tinyshakespeare from the folder that NMKT_TEST_DATA names. A quarter of an hour on
 * two processors; `--full` takes hours and all seeds. NMKT_BENCH_RESULTS names a file that keeps results, so that an interrupted bench goes on.
 */
export async function bench(): Promise<BenchResult> {
  const skip = noDigits();
  if (skip !== null) return { rows: [{ skip }], targets: [] };
  const size = process.argv.includes('--full') ? FULL : SHORT;
  const results = await work(await allRuns(size), process.env['NMKT_BENCH_RESULTS']);
  const [engine] = await startEngines(1);
  const pay = await measurePay(engine!, size === FULL ? 67 : 7, DEFAULT_SETTING);
  const elsewhere: PayRow[] = [];
  if (size === FULL) for (const one of OTHER_SETTINGS) elsewhere.push(...(await measurePay(engine!, 12, one)));
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} processors, Node ${process.version}`;
  const day = new Date().toISOString().slice(0, 10);
  return {
    rows: [...tableOf(results), ...[...pay, ...elsewhere].map(payRow), { group: machine, row: day }].map((row) => ({
      ...EMPTY,
      ...row,
    })),
    targets: [...targetsOf(results), ...payTargets(pay)],
  };
}

const EMPTY = { group: '', row: '', seeds: '', result: '', 'to 0.95': '', 'to 0.965': '', payload: '', packed: '' };

const last = ({ rounds }: Result): MeasuredRound => rounds.at(-1)!;
const ofGroup = (results: readonly Result[], group: Result['group']) =>
  results.filter((result) => result.group === group);
const rowsOfGroup = (results: readonly Result[]): Map<string, Result[]> => {
  const rows = new Map<string, Result[]>();
  for (const result of results) rows.set(result.row, [...(rows.get(result.row) ?? []), result]);
  return rows;
};
const accuracyOf = (results: readonly Result[]) => spreadOf(results.map((result) => last(result).accuracy));

/** Median rounds and bytes per trainer until an accuracy is reached; runs that never do count as never. */
function reach(results: readonly Result[], accuracy: number): string {
  const rounds = results.map((result) => firstAt(result.rounds, accuracy)?.round ?? Infinity).sort((a, b) => a - b);
  return String(rounds[Math.floor((rounds.length - 1) / 2)]).replace('Infinity', 'never');
}

function tableOf(results: readonly Result[]): Record<string, unknown>[] {
  return (['codecs', 'fedstr', 'attacks', 'labels', 'gpt'] as const).flatMap((group) =>
    [...rowsOfGroup(ofGroup(results, group))].map(([row, own]) => ({
      ...{ group, row, seeds: own.length },
      result:
        group === 'gpt'
          ? `loss ${text(spreadOf(own.map((one) => last(one).loss)))}`
          : text(accuracyOf(own)) + backdoorOf(own),
      ...(group === 'codecs' && { 'to 0.95': reach(own, 0.95), 'to 0.965': reach(own, 0.965) }),
      ...((group === 'codecs' || group === 'gpt') && {
        payload: Math.round(spreadOf(own.map((one) => last(one).payloadBytes / last(one).round)).mean),
        packed: Math.round(spreadOf(own.map((one) => last(one).packedBytes / last(one).round)).mean),
      }),
    })),
  );
}

function backdoorOf(results: readonly Result[]): string {
  const rates = results.flatMap(({ backdoor }) => backdoor ?? []);
  return rates.length === 0 ? '' : `, backdoor ${spreadOf(rates).mean.toFixed(3)}`;
}

function targetsOf(results: readonly Result[]): BenchTarget[] {
  const targets: BenchTarget[] = [];
  const add = (name: string, target: string, got: string, ok: boolean) =>
    void targets.push({ name: `learning: ${name}`, target, got, ok });
  const codecs = rowsOfGroup(ofGroup(results, 'codecs'));
  const [f32, int4, topk, central] = ['f32', 'int4', LONGER, 'central'].map((row) => codecs.get(row));
  if (f32 !== undefined && central !== undefined) {
    const best = Math.max(...[...codecs].filter(([row]) => row !== 'central').map(([, own]) => accuracyOf(own).mean));
    add('cnn, best row after 30 rounds', '>= 0.965', best.toFixed(4), best >= 0.965);
    const gap = accuracyOf(central).mean - best;
    add('cnn, behind central training', '<= 0.005', gap.toFixed(4), gap <= 0.005);
  }
  const perRound = (own: readonly Result[]) =>
    spreadOf(own.map((one) => last(one).payloadBytes / last(one).round)).mean;
  if (f32 !== undefined && int4 !== undefined) {
    const fewer = perRound(f32) / perRound(int4);
    const [mine, theirs] = [reach(int4, 0.965), reach(f32, 0.965)];
    add('int4, fewer bytes', '>= 7.7x', `${fewer.toFixed(2)}x`, fewer >= 7.7);
    add('int4, rounds to 0.965', `<= ${theirs}, as f32`, mine, Number(mine) <= Number(theirs));
  }
  if (f32 !== undefined && topk !== undefined) {
    const fewer = perRound(f32) / perRound(topk);
    const lost = accuracyOf(f32).mean - accuracyOf(topk).mean;
    add('topk, fewer bytes', '>= 80x', `${fewer.toFixed(1)}x`, fewer >= 80);
    add('topk, accuracy lost', '<= 0.003', lost.toFixed(4), lost <= 0.003);
  }
  const attacks = rowsOfGroup(ofGroup(results, 'attacks'));
  const honest = attacks.get('floor, fedavg: without their shards');
  if (honest !== undefined)
    for (const [row, own] of attacks) {
      const [rule, attack] = row.split(': ') as [string, string];
      if (rule !== 'floor, norm-clip' || !isBounded(attack)) continue;
      const lost = accuracyOf(honest).mean - accuracyOf(own).mean;
      add(
        `the default rule under ${attack}, behind the mean of the honest`,
        '<= 0.015 lost',
        lost.toFixed(4),
        lost <= 0.015,
      );
    }
  const fedstr = rowsOfGroup(ofGroup(results, 'fedstr')).get('2 trainers, 3 rounds');
  if (fedstr !== undefined) {
    const { mean } = accuracyOf(fedstr);
    add('the published run of FEDSTR', '> 0.9117', mean.toFixed(4), mean > 0.9117);
  }
  const gpt = rowsOfGroup(ofGroup(results, 'gpt'));
  const [sparse, alone, dense] = [gpt.get(GPT_ROWS[0]), gpt.get(GPT_ROWS[2]), gpt.get(GPT_ROWS[1])];
  if (sparse !== undefined && alone !== undefined && dense !== undefined) {
    const lossOf = (own: readonly Result[]) => spreadOf(own.map((one) => last(one).loss)).mean;
    const more = lossOf(sparse) - lossOf(alone);
    const fewer = perRound(dense) / perRound(sparse);
    add('gpt, SparseLoCo behind one trainer with four times the batch', '<= 0.03', more.toFixed(4), more <= 0.03);
    add('gpt, fewer bytes than f32 every H', '>= 100x', `${fewer.toFixed(1)}x`, fewer >= 100);
  }
  return targets;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function payRow({ setting, class: row, updates, ...shares }: PayRow): Record<string, unknown> {
  const { paidAnyhow, paid, withSpotChecks, overAJob } = shares;
  return {
    ...{ group: `pay, ${setting}`, row, seeds: updates },
    result: `${percent(paid)}; leastWork 0 ${percent(paidAnyhow)}; spot checks ${percent(withSpotChecks)}; over a job ${percent(overAJob)}`,
  };
}

/** One step, H/10 and H/2 are reported: the work floor is no measure of the amount. */
function payTargets(rows: readonly PayRow[]): BenchTarget[] {
  return rows.flatMap(({ class: name, paid, overAJob }) => {
    if (name === 'honest')
      return [{ name: 'learning: honest updates paid', target: '>= 99 %', got: percent(paid), ok: paid >= 0.99 }];
    if (name === 'one step' || name.startsWith('H/')) return [];
    return [
      {
        name: `learning: ${name} paid, over a job with all checks`,
        target: '<= 1 %',
        got: percent(overAJob),
        ok: overAJob <= 0.01,
      },
    ];
  });
}
