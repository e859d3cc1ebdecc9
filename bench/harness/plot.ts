import type { BenchRow, Machine } from './rows';

/** Of Okabe and Ito's palette (2008), which the colour-blind can tell apart; shapes and dashes say the same. */
const looks = {
  cg: { title: 'CG-FAC, 20 iterations', colour: '#0072b2', shape: 'circle', dash: [1, 0] },
  exact: { title: 'exact, Gram space', colour: '#e69f00', shape: 'square', dash: [6, 3] },
  kfac: { title: 'K-FAC, direct', colour: '#d55e00', shape: 'triangle-up', dash: [2, 2] },
} as const;

const powersOfTen = [0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000];

interface Panel {
  readonly title: string;
  readonly axis: string;
  readonly values: readonly { readonly n: number; readonly value: number; readonly label: string }[];
  readonly labels: readonly string[];
}

type Method = keyof typeof looks;
const methods = Object.keys(looks) as Method[];

function panel(
  rows: readonly BenchRow[],
  title: string,
  axis: string,
  exponent: string,
  value: (row: BenchRow) => number,
): Panel {
  const labelOf = (method: string) => {
    const figure = rows.find((row) => row.method === method && row.figures?.[exponent] !== undefined)?.figures?.[
      exponent
    ];
    return `${looks[method as Method].title}, n^${Number(figure).toFixed(2)}`;
  };
  const values = rows
    .filter((row) => row.bytes !== undefined)
    .map((row) => ({ n: Number.parseInt(row.layer, 10), value: value(row), label: labelOf(row.method) }));
  return { title, axis, values, labels: methods.map(labelOf) };
}

function panelSpec({ title, axis, values, labels }: Panel) {
  const scale = <T>(range: readonly T[]) => ({ domain: [...labels], range: [...range] });
  const legend = {
    title: null,
    orient: 'bottom',
    direction: 'vertical',
    labelFontSize: 12,
    labelLimit: 400,
    symbolSize: 80,
  } as const;
  const of = (key: 'colour' | 'shape' | 'dash') => methods.map((method) => looks[method][key]);
  return {
    title: { text: title, fontSize: 13, anchor: 'middle' },
    width: 330,
    height: 300,
    data: { values: [...values] },
    mark: { type: 'line', point: { size: 55, filled: true }, strokeWidth: 2 },
    encoding: {
      x: {
        field: 'n',
        type: 'quantitative',
        scale: { type: 'log', base: 2, domain: [110, 4800], nice: false },
        axis: { title: 'n = m, features on either side', values: [...new Set(values.map(({ n }) => n))], format: 'd' },
      },
      y: {
        field: 'value',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: axis, format: '~r', values: powersOfTen },
      },
      color: { field: 'label', type: 'nominal', scale: scale(of('colour')), legend },
      shape: { field: 'label', type: 'nominal', scale: scale(of('shape')), legend },
      strokeDash: { field: 'label', type: 'nominal', scale: scale(of('dash')), legend },
    },
  };
}

/** The suite `scaling` as an SVG picture: time and memory against n, both logarithmic, a line for each method. */
export async function scalingPlot(rows: readonly BenchRow[], { cpu, blasCore }: Machine): Promise<string> {
  // ES modules, and this file is compiled to CommonJS
  const vega = await import('vega');
  const { compile } = await import('vega-lite');
  const { batch, threads } = rows[0] ?? { batch: 0, threads: 0 };
  const panels = [
    panel(rows, 'Time of a step', 'milliseconds', 'exponent', (row) => row.ms ?? Number.NaN),
    panel(rows, 'Memory kept between steps', 'MiB', 'memoryExponent', (row) => (row.bytes ?? Number.NaN) / 2 ** 20),
  ];
  const { spec } = compile({
    title: {
      text: `Natural-gradient directions of an n × n layer, ${batch} samples`,
      subtitle: [`${cpu}, OpenBLAS kernel ${blasCore}, ${threads} threads`, 'the powers of n are fitted to n ≥ 512'],
      anchor: 'middle',
      fontSize: 15,
      offset: 12,
    },
    background: 'white',
    padding: 12,
    hconcat: panels.map(panelSpec),
    spacing: 40,
    resolve: { scale: { color: 'independent', shape: 'independent', strokeDash: 'independent' } },
    config: { font: 'sans-serif', axis: { labelFontSize: 11, titleFontSize: 12 } },
  } as Parameters<typeof compile>[0]);
  return new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG();
}
