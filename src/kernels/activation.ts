/** In the order of the numbers in asm/activation.ts. */
export const ACTIVATIONS = ['linear', 'relu', 'relu6', 'elu', 'leakyrelu', 'sigmoid', 'prelu'] as const;

export type Activation = (typeof ACTIVATIONS)[number];
