/** What a backup of these files is good for. */
export function countedIn(names: readonly string[]): { readonly jobs: number; readonly datasets: number } {
  const found = (pattern: RegExp) => new Set(names.flatMap((name) => pattern.exec(name)?.[1] ?? [])).size;
  return { jobs: found(/^jobs\/([0-9a-f]{64})\//), datasets: found(/^datasets\/([0-9a-f]+)\.json$/) };
}
