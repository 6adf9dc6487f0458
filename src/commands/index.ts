import type { CommandModule } from './command.js';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
}
export interface CommandGroup {
  readonly heading: string;
  readonly commands: readonly CommandEntry[];
}

/** What `nmkt --help` shows, in this order, without loading any of it. */
export const commandGroups: readonly CommandGroup[] = [
  {
    heading: 'Buy training:',
    commands: [
      { name: 'publish-dataset', summary: 'encrypt a dataset, cut it into shards, put it on relays' },
      { name: 'check', summary: 'ask every relay what it still has of a published dataset' },
      { name: 'delete-dataset', summary: 'destroy the keys of a dataset and ask every relay to delete it' },
      { name: 'plan', summary: 'events, bytes, time and sats of a job, before anybody is asked' },
      { name: 'post-job', summary: 'ask for bids to train a model on a published dataset' },
      { name: 'offers', summary: 'find trainers and validators by model, engine, price and speed' },
      { name: 'award', summary: 'see the bids of a job; name the winners where you choose them yourself' },
      { name: 'collect-model', summary: 'run a job to its end: award, aggregate, pay, write the model' },
      { name: 'cancel', summary: 'end a job early: pay accepted rounds, free the rest' },
      { name: 'predict', summary: 'apply a collected model to new rows' },
      { name: 'generate', summary: 'go on with a text, by a collected or trained text model' },
    ],
  },
  {
    heading: 'Sell training:',
    commands: [
      { name: 'serve-trainer', summary: 'wait for jobs, bid, train and get paid' },
      { name: 'serve-validator', summary: 'wait for jobs, score updates for a fee' },
      { name: 'bid', summary: 'bid on one job' },
      { name: 'earnings', summary: 'what was paid, what is owed and what is late, by job and customer' },
      { name: 'stake', summary: 'lock money for a job that you work in' },
      { name: 'delegate', summary: 'lock money behind a trainer or validator of a job' },
      { name: 'withdraw', summary: 'take stakes and delegations back, a day later' },
      { name: 'slash', summary: 'take the stake of who signed two things of which one is false' },
      { name: 'resign', summary: 'leave a job between rounds; a spare takes the seat' },
    ],
  },
  {
    heading: 'Pay and prove:',
    commands: [
      { name: 'wallet', summary: 'what the wallet is, has and may do; one sat in a circle as a test' },
      { name: 'payouts', summary: 'what this home paid, and what may have been paid' },
      { name: 'pay', summary: 'go on with payments whose outcome is not known' },
      { name: 'receipts', summary: 'payments made and received, with their proofs; for a spreadsheet too' },
      { name: 'receipt', summary: 'check such proofs offline' },
      { name: 'sales', summary: 'keys that a job buys, and every check of them' },
      { name: 'sale', summary: 'check offline that a wrong key was sold' },
    ],
  },
  {
    heading: 'Train here:',
    commands: [{ name: 'train', summary: 'train a model on this machine, without relays or money' }],
  },
  {
    heading: 'Look and check:',
    commands: [
      { name: 'init', summary: 'choose key, relays, network, wallet and engine once, for this home' },
      { name: 'status', summary: 'show where a job stands, from its signed events' },
      { name: 'leaderboard', summary: 'who is where in an arena and why, and what each gets' },
      { name: 'inspect', summary: 'what a model takes: parameters, memory, operations, time; nothing is built' },
      { name: 'audit', summary: 'recompute a job from its events and say whether it holds' },
      { name: 'rating', summary: 'how far a key’s rounds and payments recommend it, from receipts you trust' },
      { name: 'explain', summary: 'trace a rating, an award or a payout back to the events it follows from' },
      { name: 'doctor', summary: 'check clock, relays, wallet, engines and home; say what to do' },
      { name: 'whoami', summary: 'show the key, relays, wallet and settings in use, each with its origin' },
      { name: 'completion', summary: 'print a script that completes commands, options and paths in your shell' },
    ],
  },
  {
    heading: 'Keep and move:',
    commands: [
      { name: 'backup', summary: 'write the home into one sealed file: key, settings, secrets, journals' },
      { name: 'restore', summary: 'make a home from such a file, to go on on another machine' },
    ],
  },
  {
    heading: 'Try it here:',
    commands: [
      { name: 'demo', summary: 'a whole market on this machine: a customer, trainers, one model' },
      { name: 'simulate', summary: 'a market in memory: many trainers, some dishonest, in virtual time' },
      { name: 'sandbox', summary: 'a private relay and a play-money wallet for each participant' },
      { name: 'relay', summary: 'the embedded relay alone' },
    ],
  },
];

export const commands: readonly CommandEntry[] = commandGroups.flatMap((group) => group.commands);

/** A command's file has the command's name; only the one that runs is imported. */
export async function loadCommand({ name }: CommandEntry): Promise<CommandModule> {
  const { command } = (await import(/* @vite-ignore */ `./${name}.js`)) as { command: CommandModule };
  return command;
}
