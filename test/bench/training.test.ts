import { contenders } from '../../bench/suites/training/contenders';
import { programs } from '../../bench/suites/training/programs/list';
import { loadTools, runOf, type Tools } from '../../bench/suites/training/training';

let tools: Tools;
beforeAll(async () => {
  tools = await loadTools();
});
afterAll(() => tools.uninstall());

function named<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((item) => item.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

const trained = (task: string, contender: string, steps: readonly number[], seed = 1) =>
  runOf(tools, {
    program: named(programs, task),
    contender: named(contenders, contender),
    seed,
    steps,
    onStep: () => {},
  });

test('names are told apart, and none has a comma, which separates them on the command line', () => {
  const names = [...programs.map(({ name }) => name), ...contenders.map(({ name }) => name)];
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.includes(','))).toEqual([]);
});

test.each(['cgfac', 'cg', 'adam 0.01', 'sgd 0.3', 'rho/3', 'T 20', 'batch/3', 'loss*1000'])(
  '%s trains',
  async (contender) => {
    const { start, told, failed, diverged } = await trained('hinge', contender, [2, 4]);
    expect([failed, diverged]).toEqual([undefined, undefined]);
    expect(told.map(({ step }) => step)).toEqual([2, 4]);
    expect(told[1]?.train).toBeLessThan(start ?? Number.NaN);
    expect(told[1]?.heldOut).not.toBe(told[1]?.averaged);
  },
);

test('a loss that is multiplied is told in its own units', async () => {
  const [own, multiplied] = [await trained('hinge', 'cgfac', [3]), await trained('hinge', 'loss*1000', [3])];
  expect(multiplied.start).toBeCloseTo(own.start ?? Number.NaN, 5);
  // the loss that is named and its formula differ by rounding, which three steps do not make more of
  expect(multiplied.told[0]?.train).toBeCloseTo(own.told[0]?.train ?? Number.NaN, 3);
});

test.each(['hinge', 'variational-squared', 'embedding-mean', 'convolutional-autoencoder'])(
  '%s has the same losses again, and leaves no tensor behind',
  async (task) => {
    const first = await trained(task, 'cgfac', [2]);
    const before = tools.tf.memory().numTensors;
    const second = await trained(task, 'cgfac', [2]);
    await trained(task, 'adam 0.01', [2]);
    expect(second.told).toEqual(first.told);
    expect(tools.tf.memory().numTensors).toBe(before);
  },
);

test('an optimizer that cannot bring its weights back stops at the first step that is not finite', async () => {
  const { told, diverged } = await trained('regression-noisy', 'sgd 0.3', [2, 60]);
  expect(diverged).toMatch(/^step \d+ was not finite$/);
  expect(told.at(-1)).toEqual({ step: 60, train: null, heldOut: null, averaged: null });
});
