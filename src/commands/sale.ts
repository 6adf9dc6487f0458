import { NmktError } from '../errors.js';
import { parseJobEvents, type EventOf, type JobEvent } from '../protocol/events.js';
import { judgeSale, saleChecks, type SaleCheck } from '../protocol/sale.js';
import { table } from '../terminal/table.js';
import type { CommandModule } from './command.js';
import { eventsToVerify } from './proof-file.js';
import { short } from './money-events.js';

/** Offline: no relay, no home, no wallet. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<verb>', 'verify')
      .argument('<file>', 'of nmkt sales --save, or of nmkt audit --dump')
      .addHelpText('before', '$ nmkt sale verify frauds.ndjson\n')
      .addHelpText('after', HELP);
  },

  async run(args, _options, context) {
    const [, file] = args;
    const events = await eventsToVerify(context, 'sale', args);
    const parsed = parseJobEvents(events);
    const proofs = parsed.filter((event) => event.type === 'key-fraud').map((proof) => described(proof, parsed));
    if (proofs.length === 0)
      throw new NmktError('bad-usage', `${file} holds no proof of a wrong key`, {
        expected: 'signed events, one a line, with a key-fraud among them',
        got: `${events.length} events`,
        remedy: 'nmkt sales JOB --save FILE',
      });
    const value = { file, proofs, isProven: proofs.every(({ isProven }) => isProven) };
    const outcome = { value, text: proofs.map(textOf).join('\n\n') };
    if (value.isProven) return { ...outcome, text: `${outcome.text}\n\n${MEANING}` };
    const bad = proofs.find(({ isProven }) => !isProven)!;
    throw new NmktError('bad-event', `key-fraud ${short(bad.keyFraud)} proves nothing`, {
      expected: 'three hashes that its trainer signed, and another key than the one it signed',
      got: bad.checks.map(({ what, ok }) => `${what}: ${ok ? 'yes' : 'no'}`).join('; ') || 'no reveal that it is about',
      remedy: 'nobody is to be blamed for it; ask its author for a file of nmkt sales --save',
      value: outcome,
    });
  },
};

const MEANING = `Proven: the trainer signed the hashes of preimage, z, wrapped key and key, and the first three make another key than the fourth. Whoever paid for
this preimage got no key to what the validators scored. Not proven: that somebody paid (the receipt does).`;

const HELP = `
Checks by four hashes that a trainer sold another key than it signed, from two events: its reveal, and the key-fraud that shows preimage, z and
wrapped key. Ends with 4 where one proves nothing.
${MEANING}
With --json one document {file, proofs: [{keyFraud, submission, job, round, trainer, isProven, checks: [{what, ok, detail}]}], isProven}: of a proof the
last check, that the wrapped key is the signed one, has to fail, and all before it to hold.`;

interface Proof {
  readonly keyFraud: string;
  readonly submission: string;
  readonly job: string;
  readonly round: number;
  readonly trainer: string;
  readonly isProven: boolean;
  readonly checks: readonly SaleCheck[];
}

function described({ id, job, content }: EventOf<'key-fraud'>, events: readonly JobEvent[]): Proof {
  const { submission, trainer, round } = content;
  const reveal = events.find((event) => event.id === submission);
  const sale =
    reveal?.type === 'reveal' && reveal.author === trainer && reveal.job === job ? reveal.content.sale : undefined;
  const about = { keyFraud: id, submission, job, round, trainer };
  if (sale === undefined) return { ...about, isProven: false, checks: [] };
  return { ...about, isProven: judgeSale(sale, job, content) === 'fraud', checks: saleChecks(sale, job, content) };
}

function textOf({ keyFraud, trainer, round, checks }: Proof): string {
  const head = `key-fraud ${keyFraud}: round ${round + 1}, ${trainer}`;
  return `${head}\n${table(checks.map(({ what, ok, detail }) => [ok ? 'yes' : 'no', what, ok ? '' : detail]))}`;
}
