/** The report of a comparison: one HTML file that asks nothing of anywhere. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { PNG } from 'pngjs';
import { escaped } from './html';
import { looks } from './looks';
import type { ChartTask } from './page/chart-data';
import type { Comparison, TaskResult } from './result';
import { gridTable, layerTables, methodTable, summaryTable } from './tables';
import { shownMean } from './words';

/** The folder of this repository, from sources and from what is compiled of them. */
function rootFolder(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'typedoc.jsonc'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`Expected a checkout around ${__dirname} but received none`);
    folder = above;
  }
  return folder;
}

/** The page's program with the plotting library, and its style. */
async function pageParts(): Promise<{ readonly script: string; readonly style: string }> {
  const root = rootFolder();
  const folder = join(root, 'bench', 'compare', 'page');
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'main.ts')],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    charset: 'utf8',
    // charts are drawn with two dots to a pixel at the least, so that they can be printed
    banner: { js: 'var chartRatio=Math.max(2,window.devicePixelRatio||1);' },
    define: { devicePixelRatio: 'chartRatio' },
  });
  const library = readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8');
  return {
    script: (outputFiles[0]?.text ?? '').replaceAll('</script', '<\\/script'),
    style: `${library}\n${readFileSync(join(folder, 'style.css'), 'utf8')}`,
  };
}

const SIDE = 28;
const SCALE = 2;

/** Pictures beside each other as a PNG in a data URI; numbers of one byte a pixel, as base64. */
export function picturesUri(pixels: string): string {
  const bytes = Buffer.from(pixels, 'base64');
  const count = bytes.length / SIDE ** 2;
  const png = new PNG({ width: count * SIDE * SCALE, height: SIDE * SCALE, colorType: 0 });
  for (let y = 0; y < png.height; y++) {
    for (let x = 0; x < png.width; x++) {
      const [row, column] = [Math.floor(y / SCALE), Math.floor(x / SCALE)];
      const grey = bytes[(Math.floor(column / SIDE) * SIDE + row) * SIDE + (column % SIDE)] ?? 0;
      png.data.set([grey, grey, grey, 255], 4 * (y * png.width + x));
    }
  }
  return `data:image/png;base64,${PNG.sync.write(png, { colorType: 0 }).toString('base64')}`;
}

function reconstructions({ inputs, methods, title, steps }: TaskResult): string {
  if (inputs === undefined) return '';
  const row = (name: string, pixels: string) =>
    `<figure><figcaption>${name}</figcaption><img alt="ten digits: ${name}" src="${picturesUri(pixels)}"></figure>`;
  const outs = methods.flatMap(({ title: name, outputs, heldOut }) =>
    outputs === undefined ? [] : [row(`${escaped(name)}, ${shownMean(heldOut)}`, outputs)],
  );
  return (
    `<h3>Reconstructions</h3><p>${escaped(title)}: ten digits that no step saw, and what is made of ` +
    `them after ${steps} ` +
    `steps, with the loss held out.</p><div class="pictures">${row('digits', inputs)}${outs.join('')}</div>`
  );
}

/** The numbers that a task's charts are drawn of. */
export function chartTask(task: TaskResult): ChartTask {
  return {
    name: task.name,
    unit: task.unit,
    methods: task.methods.map(({ name, title, points }) => ({ name, title, points })),
  };
}

function section(task: TaskResult, place: number): string {
  const path = `tasks.${place}`;
  const head = `<section id="${task.name}"><h2>${escaped(task.title)}</h2>`;
  const about = `<p>${escaped(task.about)}; ${task.weights.toLocaleString('en')} weights.</p>`;
  if (task.unavailable !== undefined)
    return `${head}<p class="trouble">Not run: ${escaped(task.unavailable)}</p></section>`;
  return (
    `${head}${about}<div class="charts" data-task="${place}"><noscript>The curves need JavaScript; the tables below ` +
    'have their ends.</noscript></div>' +
    `${methodTable(task, path)}${reconstructions(task)}${gridTable(task, path)}${layerTables(task, path)}</section>`
  );
}

function heading(comparison: Comparison): string {
  const { machine, threads, versions, seeds, made, quick, tasks } = comparison;
  const links = tasks.map(({ name, title }) => `<a href="#${name}">${escaped(title)}</a>`).join('');
  const quickly = quick
    ? '<p class="trouble">A quick run: smaller tasks, some steps, some of each grid. It shows that all of it works, ' +
      'and says nothing of the methods.</p>'
    : '';
  return (
    '<header><div class="bar"><h1>cgfac: a comparison of optimizers</h1><div class="buttons">' +
    '<button type="button" id="theme" hidden>dark</button><button type="button" id="print" hidden>print</button>' +
    `</div></div><nav aria-label="Tasks">${links}<a href="#how">How</a></nav>${quickly}` +
    `<p>${seeds.length === 1 ? 'Seed' : 'Seeds'} ${seeds.join(', ')}; ${escaped(machine.cpu)}, ` +
    `${machine.cores} cores, ` +
    `${threads} pool threads, OpenBLAS ${escaped(machine.blasVersion)} (${escaped(machine.blasCore)}), Node ` +
    `${escaped(machine.node)}, TensorFlow.js ${escaped(versions.tfjs)} on wasm with the kernels of cgfac ` +
    `${escaped(versions.cgfac)} for every method; ${escaped(made.slice(0, 10))}.</p></header>`
  );
}

const HOW =
  '<section id="how"><h2>How</h2><p>All methods start from the same weights and see the same batches. Each has the ' +
  'best setting of its grid, by the training loss after the last step with the first seed; where ' +
  'that is the first or ' +
  'the last of its grid, a wider one may have a better one. The training loss is that of all batches ' +
  '(of pictures, of a ' +
  'part of them) with the weights as they are; held out, methods of this package have averages of ' +
  'the weights, others ' +
  'what is less: averages by the same formula, or the weights themselves. Seconds are those of training steps alone. ' +
  'Curves are means, bands go from the least to the most of the seeds. <span class="mark ' +
  'won">▲</span> is better than ' +
  'the tuned Adam with every seed, <span class="mark lost">▼</span> worse with every seed, = ' +
  'neither. What is kept are ' +
  'bytes between steps, averages of the weights apart.</p>' +
  '<p>λmax/λ: the largest eigenvalue of a layer’s block over its damping (below 1 damping ' +
  'dominates). Effective rank: ' +
  'the directions that the damping leaves, of A and of G. Stable rank: the trace over the largest eigenvalue. ' +
  '‖r‖/‖v‖: the relative residual at the start and at the end of conjugate gradients. Coefficient: what the layer’s ' +
  'direction was multiplied by.</p></section>';

/** The report as the text of an HTML file. */
export async function reportPage(comparison: Comparison): Promise<string> {
  const { script, style } = await pageParts();
  const data = JSON.stringify({ tasks: comparison.tasks.map(chartTask), looks }).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>cgfac: a comparison of optimizers</title>
<link rel="icon" href="data:,"><style>${style}</style></head><body>
<a class="skip" href="#glance">to the tables</a>${heading(comparison)}
<main><section id="glance">${summaryTable(comparison)}</section>
${comparison.tasks.map(section).join('\n')}
${HOW}</main>
<script type="application/json" id="data">${data}</script><script>${script}</script></body></html>
`;
}
