import type { Locator, Page } from 'playwright-core';
import { open, overflow, paper, printed } from './browser';

const REPORT = 'quick/report.html';
const TASKS = 5;

/** The parts of a canvas that are looked at; tests know no types of pages. */
interface Canvas {
  readonly width: number;
  readonly height: number;
  toDataURL(): string;
  cloneNode(): Canvas;
}

/** What a chart shows, as a number that another picture has another one of; empty where nothing is drawn. */
const picture = (chart: Locator): Promise<string> =>
  chart.locator('canvas').evaluate((found) => {
    const canvas = found as unknown as Canvas;
    const shown = canvas.toDataURL();
    if (shown === canvas.cloneNode().toDataURL()) return '';
    let sum = 0;
    for (let i = 0; i < shown.length; i++) sum = (Math.imul(sum, 31) + shown.charCodeAt(i)) | 0;
    return String(sum);
  });

/** Waits until the page has drawn what was asked for. */
const drawn = (page: Page) =>
  page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');

describe.each([
  [380, 'light'],
  [1400, 'dark'],
] as const)('the report at %i pixels on %s paper', (width, scheme) => {
  let opened: Awaited<ReturnType<typeof open>>;
  beforeAll(async () => {
    opened = await open(REPORT, width, scheme);
  });
  afterAll(() => opened.close());
  afterEach(() => expect(opened.complaints).toEqual([]));

  test('draws two charts for each task, reconstructions, and nothing that is wider than the window', async () => {
    const { page } = opened;
    const charts = page.locator('.chart');
    expect(await charts.count()).toBe(2 * TASKS);
    for (let place = 0; place < 2 * TASKS; place++) expect(await picture(charts.nth(place))).not.toBe('');
    const widths = await page
      .locator('.pictures img')
      .evaluateAll((images) => images.map((image) => (image as unknown as { naturalWidth: number }).naturalWidth));
    expect(widths.length).toBeGreaterThan(8);
    expect(widths.every((each) => each === 560)).toBe(true);
    expect(await overflow(page)).toBe(0);
  });

  test('zooms by dragging, by keys and by buttons, and shows all again', async () => {
    const { page } = opened;
    const chart = page.locator('.chart').first();
    const whole = await picture(chart);
    const plot = chart.locator('.u-over');
    await plot.scrollIntoViewIfNeeded();
    const box = await plot.boundingBox();
    if (!box) throw new Error('the chart has no place');
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.mouse.move(0, 0);
    await drawn(page);
    const dragged = await picture(chart);
    expect(dragged).not.toBe(whole);
    await chart.locator('.plot').focus();
    await page.keyboard.press('+');
    await drawn(page);
    expect(await picture(chart)).not.toBe(dragged);
    await page.keyboard.press('0');
    await drawn(page);
    expect(await picture(chart)).toBe(whole);
    await chart.getByRole('button', { name: 'zoom in' }).click();
    await drawn(page);
    expect(await picture(chart)).not.toBe(whole);
    await chart.getByRole('button', { name: 'show all' }).click();
    await page.mouse.move(0, 0);
    await drawn(page);
    expect(await picture(chart)).toBe(whole);
  });

  test('tells the curve under the pointer by the name and the loss of its method', async () => {
    const { page } = opened;
    const chart = page.locator('.chart').first();
    const box = await chart.locator('.u-over').boundingBox();
    if (!box) throw new Error('the chart has no place');
    for (let y = 5; y < box.height; y += 6) await page.mouse.move(box.x + box.width - 3, box.y + y);
    await page.mouse.move(box.x + box.width - 3, box.y + 12);
    await expect(chart.locator('.readout').textContent()).resolves.toMatch(/, step \d+, [\d.]+ s: [\d.]+/);
    await page.mouse.move(0, 0);
  });

  test('hides a method, shows the loss held out, and answers to the keyboard alone', async () => {
    const { page } = opened;
    const section = page.locator('section#classifier');
    const chart = section.locator('.chart').first();
    const before = await picture(chart);
    const legend = section.getByRole('button', { name: 'cgfac()' });
    await legend.focus();
    await page.keyboard.press('Enter');
    await drawn(page);
    expect(await legend.getAttribute('aria-pressed')).toBe('false');
    expect(await picture(chart)).not.toBe(before);
    await page.keyboard.press('Enter');
    await drawn(page);
    expect(await picture(chart)).toBe(before);
    await section.getByRole('button', { name: 'held out' }).click();
    await drawn(page);
    expect(await picture(chart)).not.toBe(before);
    await section.getByRole('button', { name: 'training' }).click();
  });

  test('switches to the other paper and back, and is printed on white', async () => {
    const { page } = opened;
    const chart = page.locator('.chart').first();
    const [own, curves] = [await paper(page), await picture(chart)];
    const button = page.locator('#theme');
    await button.click();
    await drawn(page);
    expect(await paper(page)).not.toBe(own);
    expect(await picture(chart)).not.toBe(curves);
    await button.click();
    await drawn(page);
    expect(await paper(page)).toBe(own);
    expect(await printed(page)).toBeGreaterThan(3);
    await page.emulateMedia({ media: 'print' });
    expect(await paper(page)).toBe('rgb(255, 255, 255)');
    await page.emulateMedia({ media: 'screen' });
  });
});
