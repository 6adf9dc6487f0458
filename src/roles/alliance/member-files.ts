import { z } from 'zod';
import { sha256Hex as hashHex, type Bytes } from '../../hash.js';
import type { AllianceRoundState, AllianceState } from '../../market/alliance/state.js';
import { voteCommitment, type Ballot } from '../../market/alliance/vote.js';
import { proposalCommitment } from '../../protocol/alliance/proposal.js';
import { bytes32, eventId, int, sha256Hex } from '../../protocol/scalars.js';
import type { MemberEnv } from './env.js';

/** What a member keeps of an alliance: written before anything is signed that rests on it. */

type Env = Pick<MemberEnv, 'files' | 'signer' | 'random'>;

const SECRETS_FILE = 'member.bin';
const GROUP_FILE = 'group.bin';
const proposalFile = ({ draw }: AllianceRoundState) => `proposal-${draw!.id}.bin`;
const voteFile = ({ draw }: AllianceRoundState) => `vote-${draw!.id}.json`;

export interface MemberSecrets {
  /** Ends the chain of its nonces. */
  readonly nonces: Bytes;
  /** What signs the chunks of its proposals follows from it. */
  readonly uploads: Bytes;
}

export async function keptSecrets({ files }: Pick<Env, 'files'>): Promise<MemberSecrets | undefined> {
  const bytes = await files.read(SECRETS_FILE);
  return bytes?.length === 64 ? { nonces: bytes.slice(0, 32), uploads: bytes.slice(32) } : undefined;
}

export async function makeSecrets({ files, random }: Pick<Env, 'files' | 'random'>): Promise<MemberSecrets> {
  const known = await keptSecrets({ files });
  if (known !== undefined) return known;
  const bytes = random(64);
  await files.write(SECRETS_FILE, bytes);
  return { nonces: bytes.slice(0, 32), uploads: bytes.slice(32) };
}

export const keptGroup = ({ files }: { readonly files: Pick<Env['files'], 'read'> }): Promise<Bytes | undefined> =>
  files.read(GROUP_FILE);
export const keepGroup = ({ files }: Pick<Env, 'files'>, key: Bytes): Promise<void> => files.write(GROUP_FILE, key);

export interface KeptProposal {
  readonly salt: Bytes;
  /** Canonical. */
  readonly model: Bytes;
}

export async function keptProposal(
  { files }: Pick<Env, 'files'>,
  round: AllianceRoundState,
): Promise<KeptProposal | undefined> {
  const bytes = await files.read(proposalFile(round));
  return bytes === undefined ? undefined : { salt: bytes.slice(0, 32), model: bytes.slice(32) };
}

export async function keepProposal(env: Env, round: AllianceRoundState, model: Bytes): Promise<KeptProposal> {
  const salt = env.random(32);
  await env.files.write(proposalFile(round), Buffer.concat([salt, model]));
  return { salt, model };
}

export function commitmentToProposal(
  { signer }: Pick<Env, 'signer'>,
  { jobId }: Pick<AllianceState, 'jobId'>,
  { round }: Pick<AllianceRoundState, 'round'>,
  { salt, model }: KeptProposal,
) {
  return proposalCommitment({ job: jobId, round, proposer: signer.pubkey, model: hashHex(model), salt });
}

const keptVote = z.object({
  salt: bytes32,
  proposals: z.array(eventId),
  aggregate: sha256Hex,
  vote: z.union([z.literal(1), z.literal(-1)]),
  beforePpm: int(0, 999_000_000),
  afterPpm: int(0, 999_000_000),
});
export type KeptBallot = Ballot & { readonly salt: Bytes };

export async function keptBallot(
  { files }: Pick<Env, 'files'>,
  round: AllianceRoundState,
): Promise<KeptBallot | undefined> {
  const bytes = await files.read(voteFile(round));
  if (bytes === undefined) return undefined;
  return z.decode(keptVote, JSON.parse(Buffer.from(bytes).toString()) as z.input<typeof keptVote>);
}

export async function keepBallot(env: Env, round: AllianceRoundState, ballot: Ballot): Promise<KeptBallot> {
  const kept = { ...ballot, salt: env.random(32) };
  const text = JSON.stringify(z.encode(keptVote, { ...kept, proposals: [...kept.proposals] }));
  await env.files.write(voteFile(round), Buffer.from(text));
  return kept;
}

export function commitmentToBallot(
  { signer }: Pick<Env, 'signer'>,
  { jobId }: Pick<AllianceState, 'jobId'>,
  { round, proposals }: AllianceRoundState,
  { salt, ...ballot }: KeptBallot,
) {
  return voteCommitment({ job: jobId, round, list: proposals!.list.id, voter: signer.pubkey }, ballot, salt);
}
