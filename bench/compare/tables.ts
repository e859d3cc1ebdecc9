/** The tables of the report. */
import { cell, escaped, figure, type Path, table } from './html';
import type { LayerRow } from './layers';
import type { Comparison, Mark, MethodResult, Spread, TaskResult } from './result';
import { shown, shownMean, shownMib, shownRange, signs } from './words';

const said: Readonly<Record<Mark, string>> = {
  won: 'better than Adam with every seed',
  lost: 'worse than Adam with every seed',
  even: 'better or worse than Adam, by the seed',
  reference: '',
  none: '',
};

const marked = (mark: Mark): string =>
  said[mark] === '' ? '' : ` <span class="mark ${mark}" title="${said[mark]}">${signs[mark]}</span>`;

function spread(path: Path, value: Spread): string {
  const range = shownRange(value);
  return (
    figure(`${path}.mean`, value.mean, shownMean(value)) + (range === '' ? '' : `<small>${escaped(range)}</small>`)
  );
}

/** A cell whose win or loss has a colour and a sign, which stands beside the figure, above what is small. */
function tinted(mark: Mark, content: string): string {
  const [figures = '', ...small] = content.split('<small>');
  return `<td class="${mark}">${figures}${marked(mark)}${small.map((each) => `<small>${each}`).join('')}</td>`;
}

function methodRow(method: MethodResult, path: Path): string {
  const { reaches, marks } = method;
  const setting = method.setting === '' ? 'no options' : method.setting;
  const edge = method.edge ? ' <span class="edge" title="at the end of its grid">end of grid</span>' : '';
  const trouble =
    method.diverged.length === 0 ? '' : `<small class="trouble">${escaped(method.diverged.join('; '))}</small>`;
  return (
    `<tr${method.name === 'cgfac' ? ' class="ours"' : ''}>` +
    `<th scope="row">${escaped(method.title)}<small>${escaped(setting)}${edge}</small>${trouble}</th>` +
    tinted(marks.train, spread(`${path}.train`, method.train)) +
    tinted(marks.heldOut, spread(`${path}.heldOut`, method.heldOut)) +
    tinted(marks.atEqualTime, figure(`${path}.atEqualTime`, method.atEqualTime)) +
    cell(
      reaches
        ? `${figure(`${path}.reaches.step`, reaches.step, String(reaches.step))}<small>` +
            `${figure(`${path}.reaches.seconds`, reaches.seconds)} s</small>`
        : 'not',
    ) +
    cell(figure(`${path}.ms`, method.ms)) +
    cell(figure(`${path}.bytes`, method.bytes, shownMib(method.bytes))) +
    '</tr>'
  );
}

/** A row for each method: losses with their spread, at equal time, when it is where Adam ends, cost. */
export function methodTable(task: TaskResult, path: Path): string {
  return table(
    `${task.title}: ${task.unit} after ${task.steps} steps`,
    [
      'method, best of its grid',
      'training',
      'held out',
      `training after ${figure(`${path}.equalSeconds`, task.equalSeconds)} s`,
      "as low as Adam's last, at step",
      'ms a step',
      'MiB kept',
    ],
    task.methods.map((method, place) => methodRow(method, `${path}.methods.${place}`)),
  );
}

/** A row for each method, a column for each of its settings. */
export function gridTable(task: TaskResult, path: Path): string {
  const rows = task.methods
    .filter(({ grid }) => grid.length > 1)
    .map((method) => {
      const place = task.methods.indexOf(method);
      const points = method.grid.map(({ setting, train, diverged }, at) => {
        const own = setting === method.setting ? ' class="chosen"' : '';
        const why = diverged === undefined ? '' : ` title="${escaped(diverged)}"`;
        const loss = figure(
          `${path}.methods.${place}.grid.${at}.train`,
          train,
          train === null ? 'not finite' : shown(train),
        );
        return `<td${own}${why}>${loss}${diverged === undefined ? '' : ' *'}<small>${escaped(setting)}</small></td>`;
      });
      return `<tr><th scope="row">${escaped(method.title)}</th>${points.join('')}</tr>`;
    });
  if (rows.length === 0) return '';
  const most = Math.max(...task.methods.map(({ grid }) => grid.length));
  return (
    '<details><summary>The grids</summary><p>Training loss after the last step with the first seed. ' +
    'The best of a row ' +
    'is trained with the other seeds; an asterisk where a run diverged.</p>' +
    table(`${task.title}: grids`, ['method', ...Array.from({ length: most }, (_, place) => `${place + 1}`)], rows) +
    '</details>'
  );
}

function layerRow(layer: LayerRow, path: Path): string {
  const { initialResidual, residual } = layer;
  const residuals =
    residual === null
      ? '–'
      : `${figure(`${path}.initialResidual`, initialResidual)} → ${figure(`${path}.residual`, residual)}`;
  return (
    `<tr><th scope="row">${escaped(layer.name)}<small>${escaped(`${layer.kind} ${layer.shape}`)}</small></th>` +
    cell(escaped(layer.forms), 'text') +
    cell(escaped(layer.rows)) +
    cell(figure(`${path}.lambdaMaxOverDamping`, layer.lambdaMaxOverDamping)) +
    cell(escaped(layer.effectiveRank)) +
    cell(escaped(layer.stableRank)) +
    cell(figure(`${path}.iterations`, layer.iterations, String(layer.iterations))) +
    cell(residuals) +
    cell(figure(`${path}.coefficient`, layer.coefficient)) +
    cell(escaped(layer.reason), 'text') +
    cell(figure(`${path}.milliseconds`, layer.milliseconds)) +
    '</tr>'
  );
}

/** For each method of this package a table of its layers in the last step. */
export function layerTables(task: TaskResult, path: Path): string {
  return task.methods
    .map((method, place) => {
      const { layers, recipe } = method;
      if (layers === undefined || layers.length === 0) return '';
      return (
        `<details${method.name === 'cgfac' ? ' open' : ''}><summary>The layers under ` +
        `${escaped(method.title)}</summary>` +
        `<p>${escaped(recipe ?? '')}</p>` +
        table(
          `${task.title}, ${method.title}: layers in the last step of the first seed`,
          [
            'layer',
            'A · G kept as',
            'rows of A · G',
            'λmax/λ',
            'effective rank',
            'stable rank',
            'iterations',
            '‖r‖/‖v‖',
            'coefficient',
            'reason',
            'ms',
          ],
          layers.map((layer, at) => layerRow(layer, `${path}.methods.${place}.layers.${at}`)),
        ) +
        '</details>'
      );
    })
    .join('\n');
}

/** All tasks at a glance: training losses after the last step, a column for each task. */
export function summaryTable({ tasks }: Comparison): string {
  const known = tasks.filter(({ methods }) => methods.length > 0);
  const [first] = known;
  const rows = (first?.methods ?? []).map(({ name, title }) => {
    const cells = known.map((task) => {
      const at = task.methods.findIndex((method) => method.name === name);
      const method = task.methods[at];
      if (method === undefined) return '<td>–</td>';
      const path = `tasks.${tasks.indexOf(task)}.methods.${at}.train.mean`;
      return tinted(method.marks.train, figure(path, method.train.mean, shownMean(method.train)));
    });
    return `<tr${name === 'cgfac' ? ' class="ours"' : ''}><th scope="row">${escaped(title)}</th>${cells.join('')}</tr>`;
  });
  const head = known.map(
    ({ name, title, steps, unit }) =>
      `<a href="#${name}">${escaped(title)}</a><small>${escaped(unit)} after ${steps} steps</small>`,
  );
  return table('Training losses at a glance', ['method', ...head], rows);
}
