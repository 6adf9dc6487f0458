import { readdirSync, readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { checkMany, slow } from './check.js';
import { targets } from './targets.js';

/** Exported `parse…`, `decode…`, `open…` and `read…` that need no target of their own, and why. */
const EXEMPT: Readonly<Record<string, string>> = {
  'src/blob/upload-log.ts openUploadLog':
    'lines come through readJournal; ranges of another upload are refused, see its tests',
  'src/commands/alliance-serve.ts readLocalData': 'a data file; readDataset has its own',
  'src/commands/find-alliance.ts readAlliance': 'asks relays; what they answer goes through parseJobEvents',
  'src/commands/job-mode.ts readMode': 'one word of an option or a job file',
  'src/commands/demo-compare.ts readSecrets': 'the file that the same command wrote a moment ago',
  'src/commands/train-plan.ts readPlan': 'options; files go through readDataset and readJobFile',
  'src/commands/relay-knowledge.ts readKnowledge':
    'advice this home wrote; every field has its type or nothing of it counts, see its tests',
  'src/roles/relay-scores.ts readRelayScores':
    'advice this home wrote; every number is one or nothing of it counts, see its tests',
  'src/commands/find-job.ts readBook': 'asks relays; what they answer goes through readEvent and parseJobEvent',
  'src/commands/find-arena.ts readArena': 'asks relays; what they answer goes through parseJobEvents',
  'src/commands/find-arena.ts readArenaBook': 'asks relays; what they answer goes through parseJobEvent',
  'src/demo/live-view.ts openLiveView': 'draws',
  'src/learning/gpt-decode.ts decodeGpt': 'computes; model and tokens were read by readModelFiles and textTokens',
  'src/market/award-rules.ts openBids': 'takes parsed events; to open is no reading here',
  'src/relay/bunker-link.ts openBunkerLink': 'connects; its own tests lie to it',
  'src/relay/bunker.ts openBunker': 'connects; what it signs is checked by id, author and signature, see its own tests',
  'src/commands/trainer-engines.ts readParallel': 'an option',
  'src/commands/serve-flags.ts readServeFlags': 'options, each by its own reader',
  'src/commands/serve-work.ts openService': 'connects; relays, wallet and inbox have their own',
  'src/commands/threads.ts readThreads': 'an option and a variable of the environment',
  'src/kernels/file.ts readKernels': 'the module that the build made',
  'src/relay/probe-line.ts openProbeLine': 'connects; a relay that answers otherwise is what its own tests are made of',
  'src/roles/arena/aliases.ts openAliases': 'downloads; then parseSealedModel and downloadBlob',
  'src/roles/arena/aliases.ts readAliases': 'the file that openAliases wrote',
  'src/roles/customer-open.ts openRound': 'publishes',
  'src/blob/sealed-chunks.ts openSealedChunks':
    'its root is checked first; then openChunk and unpack, as in downloadBlob',
  'src/roles/epoch.ts openShard': 'downloads; then downloadBlob and decodeExamples',
  'src/roles/history.ts readHistory': 'asks relays; what they answer goes through parseJobEvents',
  'src/roles/history.ts readJobs': 'asks relays; what they answer goes through parseJobEvent',
  'src/roles/inbox.ts openInbox': 'subscribes; what comes goes through unwrapRumor and parseGrant',
  'src/roles/job-book.ts openBook': 'subscribes; what comes goes through readEvent and parseJobEvent',
  'src/roles/job-book.ts openBookOf': 'as openBook; events go through the reader that it is given, one of those here',
  'src/roles/measure.ts openUpdates': 'downloads; then openSealedUpdate, downloadBlob and decodeParams',
  'src/roles/spot-check.ts openDrawnStates': 'downloads; then openSealedUpdate, downloadBlob and decodeParams',
  'src/roles/spot-check.ts openState': 'downloads; then downloadBlob, decodeParams and decodeDifference',
  'src/roles/arena/audit-sets.ts openSetAgain': 'downloads; then openLocator, downloadBlob and decodeExamples',
  'src/roles/trainer-base.ts openBase': 'downloads; then downloadBlob, decodeParams and decodeDifference',
  'src/roles/trainer-grant.ts openGrantedShard': 'downloads; then openLocator, downloadBlob and decodeExamples',
  'src/roles/trainer-grant.ts openLocatedShard': 'downloads; then openLocator, downloadBlob and decodeExamples',
  'src/training/dataset-open.ts openDataset':
    'reads as readDataset does, twice; a file that changes between is what its own tests are made of',
  'src/wallet/nwc-client.ts openNwcClient': 'connects; what the wallet says goes through nwc-answers',
};

const READER = /^export (?:async )?(?:function\*? |const )((?:parse|decode|open|read|unwrap)[A-Z]\w*|unpack)/gm;

function exportedReaders(): string[] {
  return readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
    .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(READER)].map(([, name]) => `${file} ${name}`))
    .sort();
}

/** Functions of src that ran while `act` did, as `file name`. */
async function functionsOf(act: () => Promise<unknown>): Promise<ReadonlySet<string>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await act();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  const root = `${pathToFileURL(resolve('src')).href}/`;
  const pathOf = (url: string) => (url.startsWith('file:') ? url : pathToFileURL(url).href);
  return new Set(
    result
      .map(({ url, functions }) => ({ url: pathOf(url), functions }))
      .filter(({ url }) => url.startsWith(root))
      .flatMap(({ url, functions }) =>
        functions
          .filter(({ ranges }) => ranges[0]!.count > 0)
          .map(({ functionName }) => `src/${url.slice(root.length)} ${functionName}`),
      ),
  );
}

it('every exported reader of src is entered by the inputs of some target, or is exempt for a reason', async () => {
  slow.factor = 20;
  const entered = await functionsOf(async () => {
    for (const reader of targets) await checkMany(reader, 120);
  });
  const readers = exportedReaders();
  expect(readers.length).toBeGreaterThan(50);
  expect(readers.filter((name) => !entered.has(name) && EXEMPT[name] === undefined)).toEqual([]);
  // An exemption that nothing needs any more goes.
  expect(Object.keys(EXEMPT).filter((name) => entered.has(name) || !readers.includes(name))).toEqual([]);
}, 120_000);
