import { NmktError } from '../errors.js';
import { parseEventReference } from '../config/identifiers.js';
import { unwrapRumor } from '../relay/gift-wrap.js';
import { openInbox } from '../roles/inbox.js';
import { parseDuration } from '../roles/job-file.js';
import { keyInUse } from '../roles/presence.js';
import type { CommandModule } from './command.js';
import { customerPorts, presenceOf } from './customer-ports.js';
import { addThreadsFlag, engineWords, readThreads } from './threads.js';
import { readBounds } from './trainer-bounds.js';
import { readParallel, trainerEngines } from './trainer-engines.js';
import { inboxRelays } from './trainer-inbox.js';
import { validateAll, type ValidatorServer } from './validator-jobs.js';

export const command: CommandModule = {
  configure(program) {
    program
      .option('--fee <sats>', 'least fee per round to work for', '0')
      .option('--job <id>', 'score this job only')
      .option('--once', 'stop after one job (its last fee)')
      .option('--timeout <duration>', 'with --once: give up after this long (exit 3)')
      .option('--max-params <n>', 'largest model, in parameters (default 20000000)')
      .option('--max-bytes <n>', 'most memory of a job: all its data, model, batch (default 1073741824)')
      .option('--max-minutes <n>', 'longest repetition of a training; 0.5 is 30 seconds (default 60)')
      .option('--max-stake <sats>', 'most stake to lock for a job that asks for one; a proven lie loses it (default 0)')
      .option('--allow <npub...>', 'work for these customers only')
      .option('--deny <npub...>', 'never work for these customers');
    addThreadsFlag(program);
    program
      .addHelpText(
        'before',
        '$ nmkt serve-validator --fee 20\n$ nmkt serve-validator --settings sb/validator-1.json --home v1 --once --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress, signal } = context;
    const bounds = readBounds({ ...options, price: options['fee'] }, deps.network, '--fee');
    const threads = readThreads(options);
    const parallel = readParallel(options, bounds, threads);
    const only = typeof options['job'] === 'string' ? parseEventReference(options['job']) : undefined;
    if (only?.type === 'address')
      throw new NmktError('bad-key', 'a job is an event, not an address', {
        expected: 'an event id',
        got: 'naddr',
        remedy: '--job ID',
      });
    const own = await customerPorts(context);
    const presence = await presenceOf(own, 'validator');
    const ports = { ...own, signer: presence.signer };
    const timeout =
      typeof options['timeout'] === 'string'
        ? AbortSignal.timeout(parseDuration(options['timeout'], '--timeout') * 1000)
        : undefined;
    const stop = AbortSignal.any([signal, presence.rival, ...(timeout === undefined ? [] : [timeout])]);
    const { signer, clock } = ports;
    const wallet = await deps.wallet();
    await wallet?.info();
    const relays = await inboxRelays(context, ports);
    const engines = trainerEngines(context, bounds, { parallel, threads });
    const server: ValidatorServer = {
      ...{ role: 'validator', context, ports, bounds, wallet, engines, stop },
      inbox: openInbox(relays, signer.pubkey, clock, (wrap) => unwrapRumor(wrap, signer)),
      emit: (job, event, fields, text) =>
        context.emit(
          { event, at: clock.nowSec(), ...(job === null ? {} : { job }), ...fields },
          job === null ? text : `${job.slice(0, 12)}…  ${text}`,
        ),
    };
    const id = await engines.idFor();
    server.emit(
      null,
      'ready',
      { pubkey: signer.pubkey, engine: id, threads, relays: own.relays.urls },
      `ready on ${own.relays.urls.join(', ')} with ${engineWords(id, threads)}`,
    );
    progress.start('waiting for jobs with validators');
    try {
      const end = await validateAll(server, only?.id, options['once'] === true);
      if (end !== null) return {};
    } finally {
      server.inbox.close();
      presence.close();
    }
    if (presence.rival.aborted) throw keyInUse('validator');
    if (timeout?.aborted === true)
      throw new NmktError('timeout', 'no job was finished in time', {
        expected: `a finished job within ${String(options['timeout'])}`,
        got: 'none',
        remedy: 'run the same command again; a job that was begun goes on',
      });
    if (options['once'] === true)
      throw new NmktError('interrupted', 'stopped; jobs wait where they are', {
        remedy: 'run the same command again to go on',
      });
    return {};
  },
};

const HELP = `
Registers for jobs with validators before their award. Who is taken gets keys to all data, models and updates of the job, scores
each update on the samples of the job, repeats what is drawn, commits to its scores and reveals them when all have committed.
A key is never trainer and validator of one job. Three rounds in a row without scores lose the seat.
Goes on with what this home began, whatever the bounds say now.
Exit status with --once: 0 after a job's last fee, 3 after --timeout; 5 when the job of --job took others or is over.
With --json one object per line, each with event, at (Unix seconds) and, where there is one, job:
  ready      {pubkey, engine, threads, relays}
  skipped    {reason, expected, got}, reason being own-job, closed, no-seats, awarded, customer, no-wallet, network, fee,
             stake, max-params, max-bytes, engine or dataset-missing
  registered {register, feeMsat}; taken: {rounds, feeMsat}; lost: {reason}
  round, committed, revealed, missed, paid, unpaid  {round}, from 0; committed {commitment}, revealed {scores}, how many,
             paid and unpaid {amountMsat}
  done       {rounds, paidMsat}; error: {message, code, expected, got} or {reason}`;
