import { NmktError } from '../errors.js';
import { OWN_LIMITS } from '../learning/own-limits.js';
import { decodeTokens } from '../learning/tokens.js';
import type { DataSchema, TextCode } from '../learning/types.js';
import { readModelFiles } from '../training/model-files.js';
import { textTokens } from '../training/text-tokens.js';
import { generateTokens } from '../roles/text-generation.js';
import type { CommandModule } from './command.js';
import { optionalInteger, optionalNumber } from './customer-ports.js';
import { schemaOf } from './stored-schema.js';

const LENGTH = 200;

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<dir>', 'folder of a text model that collect-model or train wrote')
      .requiredOption('--prompt <text>', 'what the text begins with')
      .option('--length <n>', `tokens to add (default ${LENGTH})`)
      .option(
        '--temperature <number>',
        '0: always the likeliest token; above 1: more varied than the model (default 1)',
      )
      .option('--seed <n>', 'equal seeds give equal texts, on wasm and cpu to the last bit (default 0)')
      .addHelpText(
        'before',
        '$ nmkt generate model --prompt "Once upon"\n$ nmkt generate model --prompt "A" --temperature 0.7 --seed 3 > text\n',
      )
      .addHelpText('after', HELP);
  },

  async run([dir], options, context) {
    const { progress, signal } = context;
    const length = optionalInteger(options['length'], '--length', 1, 1_000_000) ?? LENGTH;
    const temperature = optionalNumber(options['temperature'], '--temperature', 0, 100) ?? 1;
    const seed = optionalInteger(options['seed'], '--seed', 0, Number.MAX_SAFE_INTEGER) ?? 0;
    const model = await readModelFiles(dir!);
    const code = textCode(schemaOf(model, dir!), dir!);
    const prompt = options['prompt'] as string;
    const known = textTokens(code, prompt);
    const { inputs } = model.spec;
    if (known.length > inputs)
      progress.note(`the model reads ${inputs} tokens: the first ${known.length - inputs} of the prompt are not seen`);
    const engine = await context.deps.engine({ limits: OWN_LIMITS });
    const tokens: number[] = [];
    const outcome = () => {
      const text = decodeTokens(code, tokens);
      return {
        value: { prompt, text, tokens: tokens.length, temperature, seed, engine: engine.id },
        text: prompt + text,
      };
    };
    progress.start(`generating on ${engine.id}`);
    const began = performance.now();
    for await (const token of generateTokens(engine, model, known, { length, temperature, seed })) {
      tokens.push(token);
      progress.update(`token ${tokens.length} of ${length}`);
      if (signal.aborted)
        throw new NmktError('interrupted', 'stopped before the last token', {
          expected: `${length} tokens`,
          got: `${tokens.length}`,
          remedy: 'run the same command again',
          value: outcome(),
        });
    }
    const perSecond = (tokens.length * 1000) / Math.max(performance.now() - began, 1);
    progress.done(`${tokens.length} tokens, ${Number(perSecond.toPrecision(3))} per second`);
    return outcome();
  },
};

const HELP = `
Text goes to stdout, everything else to stderr. The model sees as many tokens at once as an example of its dataset has (--context).
A model of bytes or byte pairs may end within a character: what is no UTF-8 becomes U+FFFD.
With --json one document:
  prompt, text  text without the prompt; tokens: how many were added
  temperature, seed, engine  what it follows from`;

function textCode({ text }: DataSchema, dir: string): TextCode {
  if (text !== undefined) return text;
  throw new NmktError('bad-usage', `the model in ${dir} is none of text`, {
    expected: 'a model trained on text',
    got: 'one of a table or of images',
    remedy: `nmkt predict ${dir} FILE`,
  });
}
