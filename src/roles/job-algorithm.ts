import { NmktError } from '../errors.js';
import {
  defaultAttackers,
  defaultRule,
  mostAttackers,
  takesAttackers,
  type RuleName,
} from '../learning/aggregate/rule.js';
import { CODEC_PRESETS, type Codec } from '../learning/codec/codec.js';
import { OUTER_DEFAULTS, type Outer, type OuterField } from '../learning/outer/outer.js';
import { readsTokens } from '../learning/model-cost.js';
import type { ModelSpec } from '../learning/types.js';
import type { JobTerms } from '../protocol/job.js';
import type { JobFile } from './job-file.js';

/** Which rule, outer step and codec a job promises, defaults filled in. */

/** @throws NmktError `bad-job` for attackers that the rule cannot withstand among so many, or asks no number of */
export function aggregationTerms(
  job: Pick<JobFile, 'aggregation' | 'attackers'>,
  seats: number,
): Pick<JobTerms, 'aggregation' | 'attackers'> {
  const { attackers } = job;
  const aggregation = job.aggregation ?? ruleAgainst(attackers, seats);
  const most = mostAttackers(aggregation, seats);
  if (attackers === undefined) return { aggregation, attackers: defaultAttackers(aggregation, seats) };
  if (attackers <= most) return { aggregation, attackers };
  throw new NmktError('bad-job', `${aggregation} does not withstand that many attackers`, {
    expected: takesAttackers(aggregation)
      ? `at most ${most} of ${seats} trainers`
      : `no number: ${aggregation} takes none`,
    got: `${attackers}`,
    remedy: takesAttackers(aggregation) ? `--attackers ${most}, or more --trainers` : 'leave out attackers',
  });
}

/** Whoever counts attackers means a rule that does. */
function ruleAgainst(attackers: number | undefined, seats: number): RuleName {
  const usual = defaultRule(seats);
  return attackers === undefined || usual === 'fedavg' ? usual : 'multi-krum';
}

const FIELDS = {
  learningRate: 'outerLearningRate',
  momentum: 'outerMomentum',
  beta1: 'outerBeta1',
  beta2: 'outerBeta2',
  tau: 'outerTau',
} as const satisfies Record<OuterField, keyof JobFile>;

/** @throws NmktError `bad-job` for a field that belongs to another outer step */
export function outerTerms(job: JobFile): Outer {
  const own = OUTER_DEFAULTS[job.outer];
  const values: Partial<Record<OuterField, number>> = {};
  for (const [field, name] of Object.entries(FIELDS) as [OuterField, (typeof FIELDS)[OuterField]][]) {
    const asked = job[name];
    if (own[field] !== undefined) values[field] = asked ?? own[field];
    else if (asked !== undefined)
      throw new NmktError('bad-job', `${name} is no part of the outer step ${job.outer}`, {
        expected: `${
          Object.keys(own).length === 0
            ? 'nothing'
            : Object.keys(own)
                .map((one) => FIELDS[one as OuterField])
                .join(', ')
        } with ${job.outer}`,
        got: `${name} ${asked}`,
        remedy: `leave it out, or choose another --outer`,
      });
  }
  return { name: job.outer, ...values };
}

/**
 * Models that read tokens are large and learn in many steps between rounds: there the few largest changes are enough.
 *
 * @throws NmktError `bad-job` for a field that belongs to another codec
 */
export function codecTerms(job: Pick<JobFile, 'codec' | 'keep' | 'feedback'>, model: ModelSpec): Codec {
  const name = job.codec ?? (readsTokens(model) ? 'sparseloco' : 'int4');
  const preset: Codec = CODEC_PRESETS[name];
  const { keep, feedback } = job;
  if (preset.name === 'topk')
    return {
      ...preset,
      keep: keep === undefined ? preset.keep : Math.max(1, Math.round(keep * preset.chunk)),
      feedback: feedback ?? preset.feedback,
    };
  if (keep === undefined && feedback === undefined) return preset;
  throw new NmktError('bad-job', `the codec ${name} sends every change`, {
    expected: 'keep and feedback with topk or sparseloco',
    got: keep === undefined ? `feedback ${feedback}` : `keep ${keep}`,
    remedy: '--codec topk, or leave them out',
  });
}
