/** The lower median: of an even number the lower of the two in the middle. @param values  one or more */
export function lowerMedian(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}
