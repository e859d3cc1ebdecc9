/** The program of the report: draws the curves, and switches the theme. */
import { Chart, type Theme } from './chart';
import type { ChartData, ChartTask, Part } from './chart-data';

const data = JSON.parse(document.getElementById('data')?.textContent ?? '{}') as ChartData;
const dark = matchMedia('(prefers-color-scheme: dark)');
const KEY = 'cgfac-report-theme';
const charts: Chart[] = [];

/** What was chosen before; storage may be closed to a file. */
function chosenTheme(): Theme | undefined {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === 'light' || kept === 'dark' ? kept : undefined;
  } catch {
    return undefined;
  }
}

let chosen = chosenTheme();
const theme = (): Theme => chosen ?? (dark.matches ? 'dark' : 'light');

function showTheme(): void {
  document.documentElement.dataset.theme = theme();
  const button = document.getElementById('theme');
  if (button) button.textContent = theme() === 'dark' ? 'light' : 'dark';
  for (const chart of charts) chart.draw(undefined, theme());
}

/** A legend whose entries are switches, and a choice of the loss. */
function controls(task: ChartTask, hidden: Set<string>, own: () => readonly Chart[]): HTMLElement {
  const place = document.createElement('div');
  place.className = 'controls';
  const losses = document.createElement('div');
  losses.className = 'switch';
  losses.setAttribute('role', 'group');
  losses.setAttribute('aria-label', 'loss');
  const parts: readonly (readonly [Part, string])[] = [
    ['train', 'training'],
    ['heldOut', 'held out'],
  ];
  for (const [part, title] of parts) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = title;
    button.setAttribute('aria-pressed', String(part === 'train'));
    button.addEventListener('click', () => {
      for (const other of losses.children) other.setAttribute('aria-pressed', String(other === button));
      for (const chart of own()) chart.draw(part);
    });
    losses.append(button);
  }
  const legend = document.createElement('div');
  legend.className = 'legend';
  for (const { name, title } of task.methods) legend.append(legendEntry(name, title, hidden, own));
  place.append(losses, legend);
  return place;
}

function legendEntry(name: string, title: string, hidden: Set<string>, own: () => readonly Chart[]): HTMLElement {
  const look = data.looks[name];
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', 'true');
  const dash = look?.dash.length ? ` stroke-dasharray="${look.dash.join(' ')}"` : '';
  button.innerHTML =
    `<svg width="26" height="8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" ` +
    `stroke-width="${look?.width ?? 2}"` +
    `${dash} style="stroke:light-dark(${look?.light},${look?.dark})"/></svg>`;
  button.append(title);
  button.addEventListener('click', () => {
    if (!hidden.delete(name)) hidden.add(name);
    button.setAttribute('aria-pressed', String(!hidden.has(name)));
    for (const chart of own()) chart.showChosen();
  });
  return button;
}

for (const place of document.querySelectorAll<HTMLElement>('.charts')) {
  const task = data.tasks[Number(place.dataset.task)];
  if (!task) continue;
  const hidden = new Set<string>();
  const own: Chart[] = [];
  place.append(controls(task, hidden, () => own));
  const pair = document.createElement('div');
  pair.className = 'pair';
  place.append(pair);
  for (const axis of ['step', 'seconds'] as const) own.push(new Chart({ data, task, axis }, pair, hidden, theme()));
  charts.push(...own);
}

for (const id of ['theme', 'print']) document.getElementById(id)?.removeAttribute('hidden');
document.getElementById('theme')?.addEventListener('click', () => {
  chosen = theme() === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // it holds for this visit then
  }
  showTheme();
});
document.getElementById('print')?.addEventListener('click', () => print());
dark.addEventListener('change', showTheme);
// paper is white, whatever the screen is
addEventListener('beforeprint', () => {
  for (const chart of charts) chart.draw(undefined, 'light', 330);
});
addEventListener('afterprint', showTheme);
showTheme();
