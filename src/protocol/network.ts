/** Lightning networks by name, and the prefix of their invoices after `ln` (BOLT11). The sandbox writes those of a regtest. */
export const INVOICE_PREFIX = {
  bitcoin: 'bc',
  testnet: 'tb',
  signet: 'tbs',
  simnet: 'sb',
  regtest: 'bcrt',
  sandbox: 'bcrt',
} as const;

export type NetworkName = keyof typeof INVOICE_PREFIX;
export const NETWORKS = Object.keys(INVOICE_PREFIX) as readonly NetworkName[];
