import { open, overflow, paper, printed } from './browser';

interface Size {
  readonly width: number;
  readonly height: number;
}

describe.each([
  [380, 'dark'],
  [1400, 'light'],
] as const)('the site at %i pixels on %s paper', (width, scheme) => {
  let opened: Awaited<ReturnType<typeof open>>;
  beforeAll(async () => {
    opened = await open('site/index.html', width, scheme);
  });
  afterAll(() => opened.close());
  afterEach(() => expect(opened.complaints).toEqual([]));

  test('begins with the package, and leads to its guides', async () => {
    const { page } = opened;
    expect(await page.locator('h1').allTextContents()).toEqual(['cgfac']);
    expect(await overflow(page)).toBe(0);
    expect(await page.locator('.col-content a[href*="documents/"]').count()).toBeGreaterThan(5);
  });

  test('finds an option, a guide and an error by search, and goes there', async () => {
    const { page } = opened;
    for (const [words, title] of [
      ['fisherFraction', /fisherFraction/],
      ['troubleshooting', /Troubleshooting/],
      ['LayerPreconditioner', /LayerPreconditioner/],
    ] as const) {
      await page.locator('#tsd-search-trigger').click();
      await page.locator('#tsd-search-input').fill(words);
      const first = page.locator('#tsd-search-results li').first();
      await first.waitFor();
      expect(await first.textContent()).toMatch(title);
      await first.locator('a').click();
      await page.waitForLoadState();
      expect(await page.locator('.col-content').textContent()).toMatch(title);
    }
  });

  test('has formulas that are drawn, without a sign that no font has', async () => {
    const { page } = opened;
    await page.goto(new URL('documents/The_mathematics_of_cgfac.html', page.url().replace(/site\/.*/, 'site/')).href);
    const formulas = page.locator('.formula math');
    expect(await formulas.count()).toBeGreaterThan(40);
    const sizes = await formulas.evaluateAll((all) =>
      all.map((each) => {
        const { width: across, height } = (
          each as unknown as { getBoundingClientRect(): Size }
        ).getBoundingClientRect();
        return { across, height };
      }),
    );
    expect(sizes.filter(({ across, height }) => !(across > 20 && height > 10))).toEqual([]);
    expect(await overflow(page)).toBe(0);
  });

  test('switches to the other paper, keeps it on the next page, and is printed', async () => {
    const { page } = opened;
    const own = await paper(page);
    await page.locator('#tsd-theme').evaluate(
      (select, value) => {
        const box = select as unknown as { value: string; dispatchEvent(event: Event): void };
        box.value = value;
        box.dispatchEvent(new Event('change'));
      },
      scheme === 'dark' ? 'light' : 'dark',
    );
    const other = await paper(page);
    expect(other).not.toBe(own);
    await page.reload();
    expect(await paper(page)).toBe(other);
    expect(await printed(page)).toBeGreaterThan(2);
  });
});

test('the manual of a narrow window opens its navigation', async () => {
  const { page, complaints, close } = await open('site/index.html', 380);
  await page.locator('#tsd-toolbar-menu-trigger, .tsd-widget.menu').first().click();
  await page.locator('.tsd-navigation').getByText('Guides', { exact: true }).waitFor({ state: 'visible' });
  expect(complaints).toEqual([]);
  await close();
});
