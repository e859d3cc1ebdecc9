/** One chart: curves with bands, zoomed by dragging, by keys and by buttons. */
import uPlot from 'uplot';
import { type Axis, type ChartData, type ChartTask, columns, type Part } from './chart-data';

/** Which colours are drawn in. */
export type Theme = 'light' | 'dark';

/** What a chart is drawn of. */
export interface ChartSource {
  readonly data: ChartData;
  readonly task: ChartTask;
  readonly axis: Axis;
}

const papers = {
  light: { text: '#333', grid: '#e3e3e3' },
  dark: { text: '#ccc', grid: '#383838' },
} as const;

const FONT = '12px system-ui, sans-serif';

/** A number of three digits. */
export function shown(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

/** A tick of an axis without the zeros that it does not need. */
function tick(value: number | null): string {
  if (value === null) return '';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}

const faded = (colour: string) => `${colour}2b`;

/** A chart in its place on the page. */
export class Chart {
  readonly #source: ChartSource;
  readonly #place: HTMLElement;
  readonly #readout: HTMLElement;
  readonly #hidden: Set<string>;
  #plot: uPlot | undefined;
  #part: Part = 'train';
  #theme: Theme;
  #width = 0;

  constructor(source: ChartSource, parent: HTMLElement, hidden: Set<string>, theme: Theme) {
    this.#source = source;
    this.#hidden = hidden;
    this.#theme = theme;
    const by = source.axis === 'step' ? 'step' : 'second of training';
    parent.insertAdjacentHTML(
      'beforeend',
      `<figure class="chart"><figcaption>by ${by}<span class="zoom"><button type="button" data-zoom="in" ` +
        `aria-label="zoom in">+</button><button type="button" data-zoom="out" aria-label="zoom out">−</button>` +
        `<button type="button" data-zoom="all" aria-label="show all">all</button></span></figcaption>` +
        `<div class="plot" tabindex="0" role="img"></div><p class="readout" aria-live="polite"></p></figure>`,
    );
    const figure = parent.lastElementChild as HTMLElement;
    this.#place = figure.querySelector('.plot') as HTMLElement;
    this.#readout = figure.querySelector('.readout') as HTMLElement;
    this.#place.setAttribute(
      'aria-label',
      `${source.task.name}: ${source.task.unit} by ${by}. Keys: plus and minus zoom, arrows move, 0 shows all.`,
    );
    this.#place.addEventListener('keydown', (event) => this.#key(event));
    for (const button of figure.querySelectorAll<HTMLButtonElement>('[data-zoom]'))
      button.addEventListener('click', () => this.zoom(button.dataset.zoom as 'in' | 'out' | 'all'));
    new ResizeObserver(() => this.#fit()).observe(this.#place);
    this.draw();
  }

  /** Draws anew: another loss, other colours. */
  draw(part: Part = this.#part, theme: Theme = this.#theme, width?: number): void {
    [this.#part, this.#theme] = [part, theme];
    const x = this.#plot?.scales.x;
    const { min, max } = x ?? {};
    const kept = typeof min === 'number' && typeof max === 'number' ? { min, max } : undefined;
    this.#plot?.destroy();
    this.#width = width ?? this.#place.clientWidth;
    const data = columns(this.#source.task, part, this.#source.axis);
    this.#plot = new uPlot(this.#options(data), data as uPlot.AlignedData, this.#place);
    if (kept) this.#plot.setScale('x', kept);
    this.#tell(null);
  }

  /** Hides and shows the methods that are hidden and shown. */
  showChosen(): void {
    this.#source.task.methods.forEach(({ name }, place) => {
      const show = !this.#hidden.has(name);
      for (const series of [0, 1, 2]) this.#plot?.setSeries(3 * place + 1 + series, { show });
    });
  }

  /** Zooms about the middle of what is seen, or shows all. */
  zoom(how: 'in' | 'out' | 'all' | 'left' | 'right'): void {
    const plot = this.#plot;
    const xs = plot?.data[0] ?? [];
    const [first, last] = [xs[0] ?? 0, xs[xs.length - 1] ?? 1];
    const { min = first, max = last } = plot?.scales.x ?? {};
    const span = max - min;
    const factor = { in: 0.5, out: 2, all: Number.POSITIVE_INFINITY, left: 1, right: 1 }[how];
    const shift = { in: 0, out: 0, all: 0, left: -span / 4, right: span / 4 }[how];
    const width = Math.min(span * factor, last - first);
    const from = Math.min(Math.max((min + max - width) / 2 + shift, first), last - width);
    plot?.setScale('x', { min: from, max: from + width });
  }

  #key(event: KeyboardEvent): void {
    const moves = { '+': 'in', '=': 'in', '-': 'out', '0': 'all', ArrowLeft: 'left', ArrowRight: 'right' } as const;
    const move = moves[event.key as keyof typeof moves];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.zoom(move);
  }

  #fit(): void {
    const width = this.#place.clientWidth;
    if (width === 0 || width === this.#width) return;
    this.#width = width;
    this.#plot?.setSize({ width, height: this.#height() });
  }

  #height(): number {
    return Math.round(Math.min(340, Math.max(240, 0.62 * this.#width)));
  }

  /** The curve that the pointer is next to, in words. */
  #tell(series: number | null): void {
    const plot = this.#plot;
    const method =
      series === null || series === 0 ? undefined : this.#source.task.methods[Math.floor((series - 1) / 3)];
    const place = plot?.cursor.idxs?.[series ?? 0] ?? plot?.cursor.idx;
    const x = typeof place === 'number' ? plot?.data[0][place] : undefined;
    const point = method?.points.find(
      ({ step, seconds }) => (this.#source.axis === 'step' ? step : seconds.mean) === x,
    );
    if (!method || !point) {
      this.#readout.textContent = 'Drag to zoom; double-click to show all.';
      return;
    }
    const { mean, least, most } = point[this.#part];
    const range = least === most ? '' : ` (${shown(least)}–${shown(most)})`;
    const when = `step ${point.step}, ${shown(point.seconds.mean)} s`;
    this.#readout.textContent = `${method.title}, ${when}: ${shown(mean)}${range}`;
  }

  #options(data: readonly (readonly (number | null)[])[]): uPlot.Options {
    const { task, axis } = this.#source;
    const paper = papers[this.#theme];
    const numbers = data
      .slice(1)
      .flat()
      .filter((value) => value !== null);
    const logarithmic = numbers.length > 0 && Math.min(...numbers) > 0;
    const axes = { stroke: paper.text, font: FONT, labelFont: FONT, grid: { stroke: paper.grid, width: 1 } };
    const ticks = { stroke: paper.grid, width: 1 };
    return {
      width: this.#width,
      height: this.#height(),
      legend: { show: false },
      focus: { alpha: 0.35 },
      cursor: { focus: { prox: 24 }, drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1, ...(logarithmic ? { range: snug } : {}) } },
      axes: [
        {
          ...axes,
          ticks,
          label: axis === 'step' ? 'step' : 'seconds',
          ...(axis === 'step' ? { incrs: whole } : {}),
          labelSize: 20,
          size: 34,
          values: each(tick),
        },
        {
          ...axes,
          ticks,
          label: task.unit,
          labelSize: 20,
          size: 52,
          ...(logarithmic ? { splits } : {}),
          values: each(tick),
        },
      ],
      series: [{}, ...this.#series()],
      bands: task.methods.map(({ name }, place) => ({
        series: [3 * place + 3, 3 * place + 2],
        fill: faded(this.#colour(name)),
      })),
      hooks: { setSeries: [(_, series) => this.#tell(series)], setCursor: [() => this.#nearest()] },
    };
  }

  #nearest(): void {
    const focused = this.#plot?.series.findIndex(
      (series, place) => place > 0 && (series as { _focus?: boolean })._focus,
    );
    if (focused !== undefined && focused > 0) this.#tell(focused);
  }

  #series(): uPlot.Series[] {
    return this.#source.task.methods.flatMap(({ name }) => {
      const look = this.#source.data.looks[name];
      const show = !this.#hidden.has(name);
      const edge: uPlot.Series = { show, spanGaps: true, width: 0, stroke: 'transparent', points: { show: false } };
      const line: uPlot.Series = {
        show,
        spanGaps: true,
        width: look?.width ?? 2,
        stroke: this.#colour(name),
        dash: [...(look?.dash ?? [])],
        points: { show: false },
      };
      return [line, edge, { ...edge }];
    });
  }

  #colour(name: string): string {
    return this.#source.data.looks[name]?.[this.#theme] ?? papers[this.#theme].text;
  }
}

/** Distances of ticks between steps, of which there are no halves. */
const whole = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000];

/** A logarithmic axis from a little below what is seen to a little above it. */
const snug = (_: uPlot, least: number | null, most: number | null): [number, number] => {
  const [from, to] = [least ?? 1, most ?? 10];
  const margin = Math.max((to / from) ** 0.05, 1.02);
  return [from / margin, to * margin];
};

/** 1, 2 and 5 of each power of ten that is seen; of many powers the first alone, of few all digits. */
function splits(_: uPlot, __: number, from: number, to: number): number[] {
  const decades = Math.log10(to / from);
  const digits = decades > 3 ? [1] : decades > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++)
    all.push(...digits.map((digit) => Number(`${digit}e${power}`)));
  const seen = all.filter((value) => value >= from && value <= to);
  return seen.length >= 2 ? seen : [from, Math.sqrt(from * to), to];
}

const each =
  (text: (value: number | null) => string) =>
  (_: uPlot, values: (number | null)[]): string[] =>
    values.map(text);
