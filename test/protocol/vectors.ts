import { readFileSync } from 'node:fs';
import type { NostrEvent } from '../../src/ports.js';

export interface EventVectors {
  readonly kind: number;
  readonly valid: readonly { readonly name: string; readonly event: NostrEvent; readonly parsed: unknown }[];
  readonly invalid: readonly { readonly name: string; readonly event: NostrEvent; readonly code: string }[];
}
export interface GrantVectors {
  readonly kind: number;
  readonly valid: readonly {
    readonly name: string;
    readonly kind: number;
    readonly content: string;
    readonly hash: string;
    readonly parsed: unknown;
  }[];
  readonly invalid: readonly {
    readonly name: string;
    readonly kind: number;
    readonly content: string;
    readonly code: string;
  }[];
}
interface LocatorCase {
  readonly name: string;
  readonly content: string;
  readonly blind: string;
  readonly promised: string;
}
export interface LocatorVectors {
  readonly valid: readonly (LocatorCase & { readonly parsed: unknown })[];
  readonly invalid: readonly (LocatorCase & { readonly code: string })[];
}
interface ShardLocatorCase extends LocatorCase {
  readonly shard: number;
  readonly count: number;
}
export interface ShardLocatorVectors {
  readonly whole: string;
  readonly valid: readonly (ShardLocatorCase & { readonly parsed: unknown })[];
  readonly invalid: readonly (ShardLocatorCase & { readonly code: string })[];
}
interface PartsCase {
  readonly name: string;
  readonly event: NostrEvent;
  readonly parts: readonly NostrEvent[];
}
export interface PartsVectors {
  readonly kind: number;
  readonly valid: readonly (PartsCase & { readonly parsed: unknown })[];
  readonly invalid: readonly (PartsCase & { readonly code: string })[];
}
export interface DerivedVectors {
  readonly commitment: Record<string, string | number>;
  readonly bid: Record<string, string | number>;
  readonly payout: Record<string, string | number>;
  readonly claim: Record<string, string | number>;
  readonly trainingSeed: Record<string, string | number>;
  readonly rootSeed: Record<string, string | number>;
}

export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/protocol/${name}.json`, import.meta.url), 'utf8')) as T;
}
