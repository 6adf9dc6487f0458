/** Rows per forward pass of evaluate and predict: fixed, so that equal requests take equal passes. */
export const EVALUATION_ROWS = 256;
