import type { Command } from 'commander';
import { NmktError } from '../errors.js';
import { PARTITIONS, type PartitionChoice } from '../training/split.js';
import { optionalInteger, optionalNumber } from './customer-ports.js';

/** How the rows are cut into shards: the same flags wherever data are cut. */
export function addPartitionFlags(program: Command): void {
  program
    .option('--partition <name>', `how rows are cut: ${PARTITIONS.join(', ')} (default iid: uniform samples)`)
    .option('--labels-per-shard <k>', 'give each shard examples of k labels only: --partition label-k')
    .option('--partition-column <column>', 'keep rows with an equal value of it in one shard: --partition by-column')
    .option('--alpha <n>', 'of dirichlet and size-skew: the smaller, the more shards differ (default 0.5)');
}

const DEFAULT_ALPHA = 0.5;

/** @throws NmktError `bad-usage` for a flag that belongs to another partition */
export function partitionChoice(options: Readonly<Record<string, unknown>>): PartitionChoice {
  const labelsPerShard = optionalInteger(options['labelsPerShard'], '--labels-per-shard', 1, 10_000);
  const alpha = optionalNumber(options['alpha'], '--alpha', 0.001, 1_000_000);
  const asked = options['partition'];
  const name = PARTITIONS.find((known) => known === asked);
  if (asked !== undefined && name === undefined)
    throw wrong(
      '--partition is not known',
      `one of ${PARTITIONS.join(', ')}`,
      `${asked as string}`,
      '--partition dirichlet',
    );
  const column = options['partitionColumn'] as string | undefined;
  const implied = labelsPerShard !== undefined ? 'label-k' : column !== undefined ? 'by-column' : 'iid';
  const chosen = name ?? implied;
  if ((chosen === 'label-k') !== (labelsPerShard !== undefined))
    throw wrong(
      '--labels-per-shard belongs to --partition label-k',
      'both, or neither',
      `--partition ${chosen}${labelsPerShard === undefined ? ' alone' : ` and --labels-per-shard ${labelsPerShard}`}`,
      chosen === 'label-k' ? '--labels-per-shard 2' : 'leave out --labels-per-shard',
    );
  if ((chosen === 'by-column') !== (column !== undefined))
    throw wrong(
      '--partition-column belongs to --partition by-column',
      'both, or neither',
      `--partition ${chosen}${column === undefined ? ' alone' : ` and --partition-column ${column.slice(0, 80)}`}`,
      chosen === 'by-column' ? '--partition-column COLUMN' : 'leave out --partition-column',
    );
  const isSkewed = chosen === 'dirichlet' || chosen === 'size-skew';
  if (!isSkewed && alpha !== undefined)
    throw wrong('--alpha belongs to dirichlet and size-skew', '--partition dirichlet', chosen, '--partition dirichlet');
  if (chosen === 'label-k') return { name: chosen, labelsPerShard: labelsPerShard! };
  if (chosen === 'by-column') return { name: chosen, column: column! };
  return isSkewed ? { name: chosen, alpha: alpha ?? DEFAULT_ALPHA } : { name: chosen };
}

function wrong(message: string, expected: string, got: string, remedy: string): NmktError {
  return new NmktError('bad-usage', message, { expected, got, remedy });
}
