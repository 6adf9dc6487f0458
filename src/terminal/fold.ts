/**
 * Help that fits a narrow terminal: longer lines go on below, under the text of their second column where they have
 * one. A shell call is folded as a shell reads it, so that it can still be copied.
 *
 * @param width  columns, >= 40; a single word may be longer
 */
export function folded(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => (line.length <= width ? line : foldLine(line, width)))
    .join('\n');
}

function foldLine(line: string, width: number): string {
  if (/^\s*(\d?\$) /.test(line) && !/\S {2,}[^\s#]/.test(line)) return foldCall(line, width);
  const indent = /^ */.exec(line)![0].length;
  const column = /^ *\S+(?: \S+)* {2,}/.exec(line)?.[0].length ?? 0;
  const hanging = column > 0 && column <= width / 2 ? column : indent;
  return fill(line.slice(0, hanging), line.slice(hanging).split(' '), ' '.repeat(hanging), width, '');
}

/** `$ nmkt …`: a backslash before each break, none inside of quotes; a remark gets a line of its own. */
function foldCall(line: string, width: number): string {
  const [, call = line, remark] = /^(.*?)(?: {2,}(#.*))?$/.exec(line)!;
  const words = call.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  const lines = fill('', words, '    ', width, ' \\');
  return remark === undefined ? lines : `${lines}\n${foldLine(`    ${remark}`, width).replace(/\n +/g, '\n    # ')}`;
}

function fill(start: string, words: readonly string[], indent: string, width: number, mark: string): string {
  const lines: string[] = [];
  let line = start;
  let isEmpty = true;
  for (const word of words) {
    if (!isEmpty && line.length + 1 + word.length + mark.length > width) {
      lines.push(`${line}${mark}`);
      line = indent;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line].join('\n');
}
