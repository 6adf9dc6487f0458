import { NmktError } from '../errors.js';
import { classNames } from '../learning/tokens.js';
import type { DataSchema, ModelSpec } from '../learning/types.js';
import { dataSchema } from '../protocol/dataset.js';
import type { StoredModel } from '../training/model-files.js';

/** @throws NmktError `bad-job` when the model carries no schema that fits it */
export function schemaOf({ spec, meta }: StoredModel, dir: string): DataSchema {
  const parsed = dataSchema.safeParse(meta['schema']);
  if (parsed.success && fits(parsed.data, spec)) return parsed.data;
  throw new NmktError('bad-job', `the model in ${dir} does not say how rows become its inputs`, {
    expected: `a schema of ${spec.inputs} inputs and ${spec.outputs} outputs in model.json`,
    got: parsed.success ? `one of ${parsed.data.inputs} inputs and ${parsed.data.outputs} outputs` : 'none',
    remedy: 'write the model again with nmkt collect-model',
  });
}

function fits(schema: DataSchema, spec: ModelSpec): boolean {
  const { task, inputs, outputs, shape } = schema;
  const names = classNames(schema);
  return (
    task === spec.task &&
    inputs === spec.inputs &&
    outputs === spec.outputs &&
    shape.reduce((product, size) => product * size, 1) === inputs &&
    (task === 'regression' || (names.length === outputs && new Set(names).size === outputs))
  );
}
