import type { CommandModule } from './command.js';
import { addCustomerFlags, addLimitFlags, addWhichFlags, readServeFlags } from './serve-flags.js';
import { openService } from './serve-work.js';
import { engineWords } from './threads.js';
import { validateAll } from './validator-jobs.js';

export const command: CommandModule = {
  configure(program) {
    program.option('--fee <sats>', 'least fee per round to work for', '0');
    addWhichFlags(program, { job: 'score this job only', once: 'stop after one job (its last fee)' });
    addLimitFlags(program, {
      bytes: 'most memory of a job: all its data, model, batch',
      minutes: 'longest repetition of a training',
    });
    program.option(
      '--parallel <n>',
      'jobs that it measures at a time (default: as processors and memory allow); others wait their turn',
    );
    addCustomerFlags(program, { stake: 'a proven lie' });
    program
      .addHelpText(
        'before',
        '$ nmkt serve-validator --fee 20\n$ nmkt serve-validator --settings sb/validator-1.json --home v1 --once --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress } = context;
    const flags = readServeFlags(options, deps.network, '--fee');
    const { threads, parallel, only, isOnce } = flags;
    const service = await openService(context, 'validator', flags);
    const { server } = service;
    const { ports, engines } = server;
    const id = await engines.idFor();
    server.emit(
      null,
      'ready',
      { pubkey: ports.signer.pubkey, engine: id, threads, parallel, relays: ports.relays.urls },
      `ready on ${ports.relays.urls.join(', ')} with ${engineWords(id, threads)}, ${parallel} at a time`,
    );
    progress.start('waiting for jobs with validators');
    await service.during(() => validateAll(server, only, isOnce));
    return {};
  },
};

const HELP = `
Registers for jobs with validators before their award. Who is taken gets keys to all data, models and updates of the job, scores
each update on the samples of the job, repeats what is drawn, commits to its scores and reveals them when all have committed. Where a trainer disputes that it is a fraud
it may be drawn to repeat the segment, and says what it ends in.
Arenas it scores, too: it gets the stage's set and blinded models that are drawn for it. Their events are drawn and scored {stage, models},
paid {stage, purpose, amountMsat} and done.
A key is never trainer and validator of one job. Three rounds in a row without scores lose the seat.
Goes on with what this home began, whatever the bounds say now.
Exit status with --once: 0 after a job's last fee, 3 after --timeout; 5 when the job of --job took others or is over.
With --json one object per line, each with event, at (Unix seconds) and, where there is one, job:
  ready      {pubkey, engine, threads, parallel, relays}
  skipped    {reason, expected, got}, reason being own-job, closed, no-seats, awarded, customer, no-wallet, network, fee,
             stake, max-params, max-bytes, engine or dataset-missing
  registered {register, feeMsat}; taken: {rounds, feeMsat}; lost: {reason}
  round, committed, revealed, missed, paid, unpaid  {round}, from 0; committed {commitment}, revealed {scores}, how many,
             paid and unpaid {amountMsat}
  drawn      {round, shard, segment, draw, place}: to repeat a segment that its trainer says is not forged; verdict {round, shard,
             segment, hash}: what it ends in
  done       {rounds, paidMsat}; error: {message, code, expected, got} or {reason}`;
