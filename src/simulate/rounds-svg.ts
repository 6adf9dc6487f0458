import type { RoundRow } from './report.js';

/** Three panels over the rounds: accuracy with the chance line (loss for regression), bytes, sats. Plain SVG, for light and dark. */

const PANEL = { width: 300, height: 170, left: 62, top: 44, right: 14, bottom: 34 } as const;
const FIELD = {
  width: PANEL.width - PANEL.left - PANEL.right,
  height: PANEL.height - PANEL.top - PANEL.bottom,
} as const;

/** Readable on white and on black alike; the backdrop follows the reader's theme. */
const STYLE = `
  .back { fill: #ffffff } text { font: 11px system-ui, sans-serif; fill: #333333 } .title { font-weight: 600; font-size: 12px }
  .axis { stroke: #999999; fill: none } .grid { stroke: #999999; stroke-opacity: 0.25 }
  .one { stroke: #2f6fdb } .two { stroke: #d9730d } .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .dot-one { fill: #2f6fdb } .dot-two { fill: #d9730d } .chance { stroke: #888888; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #16181d } text { fill: #d8d8d8 }
    .one { stroke: #7aa7f7 } .two { stroke: #f2a65a } .dot-one { fill: #7aa7f7 } .dot-two { fill: #f2a65a }
  }`;

interface Series {
  readonly name: string;
  readonly style: 'one' | 'two';
  /** One per round; null leaves a gap. */
  readonly values: readonly (number | null)[];
}

interface Panel {
  readonly title: string;
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  /** The axis begins at 0 and ends at this, or at a round number above all values. */
  readonly most?: number;
  /** A dashed line. */
  readonly chance?: number;
}

/** @param chance  accuracy of guessing; null where the loss is shown instead: regression, text */
export function roundsSvg(rows: readonly RoundRow[], title: string, chance: number | null): string {
  const of = (name: keyof RoundRow) => rows.map((row) => row[name]);
  const quality: Panel =
    chance === null
      ? {
          title: 'loss',
          series: [{ name: 'set A', style: 'one', values: of('loss') }],
          format: (value) => short(value),
        }
      : {
          title: 'accuracy',
          series: [{ name: 'set A', style: 'one', values: of('accuracy') }],
          format: (value) => `${Math.round(value * 100)} %`,
          ...{ most: 1, chance },
        };
  const panels: Panel[] = [
    quality,
    {
      title: 'bytes a round',
      series: [
        { name: 'relay', style: 'one', values: of('relayBytes') },
        { name: 'updates', style: 'two', values: of('uploadBytes') },
      ],
      format: bytesText,
    },
    {
      title: 'sats a round',
      series: [
        { name: 'honest', style: 'one', values: of('honestPaidSats') },
        { name: 'attackers', style: 'two', values: of('attackerPaidSats') },
      ],
      format: short,
    },
  ];
  const width = PANEL.width * panels.length;
  const height = PANEL.height + 26;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title><style>${STYLE}</style>`,
    `<rect class="back" width="${width}" height="${height}"/>`,
    `<text class="title" x="16" y="20">${escaped(title)}</text>`,
    ...panels.map((panel, at) => `<g transform="translate(${at * PANEL.width} 26)">${drawn(panel, rows.length)}</g>`),
    '</svg>',
    '',
  ].join('\n');
}

function drawn({ title, series, format, most, chance }: Panel, rounds: number): string {
  const values = series.flatMap((one) => one.values).filter((value) => value !== null);
  const top = most ?? roundAbove(Math.max(0, ...values));
  const x = (round: number) => fixed(PANEL.left + (rounds === 1 ? 0.5 : round / (rounds - 1)) * FIELD.width);
  const y = (value: number) => fixed(PANEL.top + (1 - Math.min(value, top) / top) * FIELD.height);
  const bottom = PANEL.top + FIELD.height;
  const ticks = [0, 0.5, 1].map((share) => share * top);
  const legend = series.length === 1 ? [] : series;
  return [
    `<text class="title" x="${PANEL.left}" y="16">${title}</text>`,
    ...legend.map(
      ({ name, style }, at) =>
        `<circle class="dot-${style}" cx="${PANEL.left + 4 + at * 70}" cy="28" r="4"/><text x="${PANEL.left + 12 + at * 70}" y="32">${name}</text>`,
    ),
    ...ticks.map(
      (value) =>
        `<line class="grid" x1="${PANEL.left}" x2="${PANEL.left + FIELD.width}" y1="${y(value)}" y2="${y(value)}"/><text x="${PANEL.left - 6}" y="${fixed(y(value) + 4)}" text-anchor="end">${format(value)}</text>`,
    ),
    `<path class="axis" d="M${PANEL.left} ${PANEL.top}V${bottom}H${PANEL.left + FIELD.width}"/>`,
    ...(chance === undefined
      ? []
      : [
          `<line class="chance" x1="${PANEL.left}" x2="${PANEL.left + FIELD.width}" y1="${y(chance)}" y2="${y(chance)}"/><text x="${PANEL.left + FIELD.width}" y="${fixed(y(chance) - 4)}" text-anchor="end">chance</text>`,
        ]),
    ...series.map((one) => curve(one, x, y)),
    `<text x="${x(0)}" y="${bottom + 15}" text-anchor="middle">1</text>`,
    ...(rounds === 1 ? [] : [`<text x="${x(rounds - 1)}" y="${bottom + 15}" text-anchor="middle">${rounds}</text>`]),
    `<text x="${PANEL.left + FIELD.width / 2}" y="${bottom + 15}" text-anchor="middle">round</text>`,
  ].join('\n');
}

function curve({ style, values }: Series, x: (round: number) => number, y: (value: number) => number): string {
  let path = '';
  let isDown = false;
  values.forEach((value, round) => {
    if (value !== null) path += `${isDown ? 'L' : 'M'}${x(round)} ${y(value)}`;
    isDown = value !== null;
  });
  const dots = values.map((value, round) =>
    value === null || values.length > 40
      ? ''
      : `<circle class="dot-${style}" cx="${x(round)}" cy="${y(value)}" r="2.5"/>`,
  );
  return `<path class="line ${style}" d="${path}"/>${dots.join('')}`;
}

/** 1, 2 or 5 times a power of ten, at least the value; 1 for 0. */
function roundAbove(value: number): number {
  if (!(value > 0)) return 1;
  for (let power = 1e-6; ; power *= 10)
    for (const step of [1, 2, 5]) if (step * power >= value) return Number((step * power).toPrecision(3));
}

const fixed = (value: number): number => Math.round(value * 100) / 100;

function short(value: number): string {
  if (value >= 1e6) return `${fixed(value / 1e6)} M`;
  if (value >= 1e4) return `${fixed(value / 1e3)} k`;
  return `${Number(value.toPrecision(3))}`;
}

function bytesText(value: number): string {
  if (value >= 1e6) return `${fixed(value / 1e6)} MB`;
  return value >= 1e3 ? `${fixed(value / 1e3)} kB` : `${value} B`;
}

const escaped = (text: string): string =>
  text.replace(/[<>&"]/g, (sign) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[sign]!);
