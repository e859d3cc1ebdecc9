/** The numbers that charts are drawn of, as the page has them. */

/** The mean, the least and the most of the seeds. */
export interface ChartSpread {
  readonly mean: number | null;
  readonly least: number | null;
  readonly most: number | null;
}

/** A method after so many steps. */
export interface ChartPoint {
  readonly step: number;
  readonly seconds: ChartSpread;
  readonly train: ChartSpread;
  readonly heldOut: ChartSpread;
}

/** The curves of a task. */
export interface ChartTask {
  readonly name: string;
  readonly unit: string;
  readonly methods: readonly {
    readonly name: string;
    readonly title: string;
    readonly points: readonly ChartPoint[];
  }[];
}

/** How a method looks. */
export interface ChartLook {
  readonly light: string;
  readonly dark: string;
  readonly width: number;
  readonly dash: readonly number[];
}

/** All that the page's program reads. */
export interface ChartData {
  readonly tasks: readonly ChartTask[];
  readonly looks: Readonly<Record<string, ChartLook>>;
}

/** Which loss is drawn. */
export type Part = 'train' | 'heldOut';
/** What a loss is drawn against. */
export type Axis = 'step' | 'seconds';

/** Columns for the plotting library: all x in order, then for each method its mean, its least and its most. */
export function columns(task: ChartTask, part: Part, axis: Axis): (number | null)[][] {
  const at = (point: ChartPoint) => (axis === 'step' ? point.step : point.seconds.mean);
  const all = task.methods.flatMap(({ points }) => points.map(at)).filter((x) => x !== null);
  const xs = [...new Set(all)].sort((a, b) => a - b);
  const series = task.methods.flatMap(({ points }) => {
    const byX = new Map(points.map((point) => [at(point), point[part]]));
    const column = (which: keyof ChartSpread) => xs.map((x) => byX.get(x)?.[which] ?? null);
    return [column('mean'), column('least'), column('most')];
  });
  return [xs, ...series];
}
