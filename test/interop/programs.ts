import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { sha256Hex } from '../../src/hash.js';

/**
 * Programs of other people, each of one version, from the registry of its language. What is built or installed lies in NMKT_INTEROP_DIR,
 * else in a folder of the system's temporary ones, and stays there for the next run.
 */
export const FOLDER = process.env['NMKT_INTEROP_DIR'] ?? join(tmpdir(), 'nmkt-interop');

export const PYTHON = process.env['NMKT_PYTHON'] ?? 'python3';
const NAK = 'v0.20.6';
const NOSTR_RS_RELAY = '0.8.12';
const GO_NOSTR = 'v0.52.3';
const GRPCIO_TOOLS = '1.85.1';
const NOSTR_RELAY = '1.14';
const NOSTR_SDK = '0.45.1';
const ALBY_SDK = '8.0.3';
const LND = 'v0.21.2-beta';
/** Of LND: hold invoices and payments are parts of their own. */
const LND_TAGS = 'invoicesrpc signrpc walletrpc chainrpc routerrpc peersrpc';
/** Of the go.mod of that LND, which `go build` heeds in the main module alone. */
const LND_REPLACES = [
  'github.com/ulikunitz/xz => github.com/ulikunitz/xz v0.5.11',
  'github.com/gogo/protobuf => github.com/gogo/protobuf v1.3.2',
  'google.golang.org/protobuf => github.com/lightninglabs/protobuf-go-hex-display v1.33.0-hex-display',
];

/** Where it is, or why it cannot be had here. */
export type Program = { readonly path: string } | { readonly whyNot: string };

/** The path, or the end of the test with a line that says why. */
export function requireProgram(context: TestContext, program: Program): string {
  if ('path' in program) return program.path;
  console.log(`SKIP ${context.task.fullTestName}: ${program.whyNot}`);
  return context.skip(program.whyNot);
}

/** By the author of NIP-01, in Go, https://github.com/fiatjaf/nak: a client, and a relay of khatru (`nak serve`). */
export const nak = once(() =>
  built(`nak-${NAK}/nak`, 'go', (folder) => ({
    words: ['install', `github.com/fiatjaf/nak@${NAK}`],
    env: { GOBIN: folder },
  })),
);

/**
 * In Rust, with SQLite: https://git.sr.ht/~gheartsfield/nostr-rs-relay. Minutes the first time; an interrupted build goes on.
 * Without `--locked`: the `time` of its lock file is refused by Rust from 1.80 on, https://github.com/rust-lang/rust/issues/127343.
 */
export const nostrRsRelay = once(async () => {
  const root = join(FOLDER, `nostr-rs-relay-${NOSTR_RS_RELAY}`);
  const compiler = await protoc();
  if ('whyNot' in compiler) return compiler;
  return built(`nostr-rs-relay-${NOSTR_RS_RELAY}/bin/nostr-rs-relay`, 'cargo', () => ({
    words: ['install', 'nostr-rs-relay', '--version', NOSTR_RS_RELAY, '--root', root],
    env: { CARGO_TARGET_DIR: join(root, 'target'), PROTOC: compiler.path },
  }));
});

/** The compiler of Protocol Buffers that nostr-rs-relay is built with: of the machine, else of the package that gRPC publishes. */
const protoc = once(async (): Promise<Program> => {
  if (spawnSync('protoc', ['--version']).status === 0) return { path: 'protoc' };
  const folder = join(FOLDER, `grpcio-tools-${GRPCIO_TOOLS}`);
  const words = ['-m', 'pip', 'install', '--quiet', '--target', folder, `grpcio-tools==${GRPCIO_TOOLS}`];
  const made = await built(`grpcio-tools-${GRPCIO_TOOLS}/grpc_tools`, PYTHON, () => ({ words }));
  if ('whyNot' in made) return { whyNot: `no protoc; ${made.whyNot}` };
  const script = join(folder, 'protoc');
  writeFileSync(script, `#!/bin/sh\nPYTHONPATH='${folder}' exec '${PYTHON}' -m grpc_tools.protoc "$@"\n`, {
    mode: 0o755,
  });
  return { path: script };
});

/** In Python, with SQLite: https://code.pobblelabs.org/nostr_relay. */
export const nostrRelay = once(async () => {
  const folder = join(FOLDER, `nostr-relay-${NOSTR_RELAY}`);
  const made = await built(`nostr-relay-${NOSTR_RELAY}/bin/python`, PYTHON, () => ({ words: ['-m', 'venv', folder] }));
  if ('whyNot' in made) return made;
  return built(`nostr-relay-${NOSTR_RELAY}/bin/nostr-relay`, made.path, () => ({
    words: ['-m', 'pip', 'install', '--quiet', `nostr-relay==${NOSTR_RELAY}`],
  }));
});

/** rust-nostr from Python, https://github.com/rust-nostr/nostr: another reader of events and identifiers. The folder for PYTHONPATH. */
export const nostrSdk = once(async () => {
  const folder = join(FOLDER, `nostr-sdk-${NOSTR_SDK}`);
  const words = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, `nostr-sdk==${NOSTR_SDK}`];
  const made = await built(`nostr-sdk-${NOSTR_SDK}/nostr_sdk`, PYTHON, () => ({ words }));
  return 'path' in made ? { path: folder } : made;
});

/** go-nostr, https://github.com/nbd-wtf/go-nostr, in a small program of ours. */
export const goNostr = once(async () => {
  const source = readFileSync(new URL('./go-nostr/main.go', import.meta.url));
  const name = `go-nostr-${GO_NOSTR}-${sha256Hex(source).slice(0, 16)}`;
  return built(`${name}/reader`, 'go', (cwd) => {
    writeFileSync(join(cwd, 'main.go'), source);
    writeFileSync(
      join(cwd, 'go.mod'),
      `module interop\n\ngo 1.24\n\nrequire github.com/nbd-wtf/go-nostr ${GO_NOSTR}\n`,
    );
    return { words: ['build', '-mod=mod', '-o', 'reader', '.'], cwd };
  });
});

/** The client of NIP-47 that most programs use, https://github.com/getAlby/js-sdk, newer than the one that nmkt takes: its module. */
export const albySdk = once(async () => {
  const folder = join(FOLDER, `alby-sdk-${ALBY_SDK}`);
  const words = ['install', '--prefix', folder, '--ignore-scripts', '--save-exact', `@getalby/sdk@${ALBY_SDK}`];
  const made = await built(`alby-sdk-${ALBY_SDK}/package-lock.json`, 'npm', () => ({ words }));
  return 'path' in made ? { path: join(folder, 'node_modules/@getalby/sdk/dist/esm/nwc.js') } : made;
});

/**
 * A Lightning node, https://github.com/lightningnetwork/lnd, and the bitcoin node of the version that its module asks for,
 * https://github.com/btcsuite/btcd: the folder of both. Minutes the first time.
 */
export const lightning = once(async () => {
  const made = await built(`lnd-${LND}/lnd`, 'go', (cwd) => {
    const module = ['module interop', 'go 1.25.10', `require github.com/lightningnetwork/lnd ${LND}`];
    writeFileSync(
      join(cwd, 'go.mod'),
      `${[...module, ...LND_REPLACES.map((line) => `replace ${line}`)].join('\n\n')}\n`,
    );
    const packages = ['github.com/lightningnetwork/lnd/cmd/lnd', 'github.com/btcsuite/btcd'];
    return { words: ['build', '-mod=mod', '-tags', LND_TAGS, '-o', '.', ...packages], cwd };
  });
  return 'path' in made ? { path: join(made.path, '..') } : made;
});

interface Recipe {
  readonly cwd?: string;
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** @param result  path below FOLDER; what is there already is not made again @param recipe  gets the folder of the result */
async function built(result: string, command: string, recipe: (folder: string) => Recipe): Promise<Program> {
  const path = join(FOLDER, result);
  if (existsSync(path)) return { path };
  const folder = join(path, '..');
  mkdirSync(folder, { recursive: true });
  const { words, env, cwd } = recipe(folder);
  console.log(`${command} ${words.join(' ')}`);
  const failure = await runToEnd(command, words, { ...process.env, ...env }, cwd);
  if (failure === undefined && existsSync(path)) return { path };
  return { whyNot: failure ?? `${command} ${words[0]!} made no ${result}` };
}

/** @returns  why it failed */
function runToEnd(
  command: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd?: string,
): Promise<string | undefined> {
  return new Promise((done) => {
    const child = spawn(command, words, { env, cwd, stdio: ['ignore', 'ignore', 'pipe'] });
    let last = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (last = (last + text).slice(-2_000)));
    child.once('error', () => done(`${command} is not installed`));
    child.once('close', (status) => {
      if (status === 0) return done(undefined);
      done(`${command} ${words.slice(0, 4).join(' ')} failed: ${last.trim().split('\n').at(-1) ?? `status ${status}`}`);
    });
  });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
