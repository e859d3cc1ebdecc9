/**
 * What a step allocates: nothing of the size of the weights, nor of the rows of a batch, neither on JavaScript's heap
 * nor outside of it.
 */
import { resolve } from 'node:path';
import { run } from '../../support/children';

/** The least of the large kernels that the program trains, and of the rows of its large batch. */
const KERNEL = 4 * 2 ** 20;

interface Measured {
  /** The most that any step allocated. */
  readonly most: Readonly<Record<'arrayBuffers' | 'external' | 'heap', number>>;
  /** What a hundred steps left. */
  readonly stayed: Measured['most'];
  /** Bytes of resident memory that a hundred steps added, without JavaScript's heap. */
  readonly resident: number;
  /** Steps that changed the number of tensors. */
  readonly changed: number;
}

test.each<[string, string, object]>([
  ['dense layers', 'dense', {}],
  ['dense layers and a learning rate other than 1', 'dense', { learningRate: 0.5 }],
  ["a convolution, whose gradient is the framework's own", 'convolution', {}],
  ['a large batch', 'batch', {}],
  ['a large batch of images', 'images', {}],
])('a hundred steps of %s', async (_, kind, options) => {
  const program = resolve(__dirname, 'programs/step-memory.cjs');
  const { end, stdout, stderr } = await run(program, {
    args: [kind, JSON.stringify(options)],
    flags: ['--expose-gc'],
  });
  expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
  const { most, stayed, resident, changed } = JSON.parse(stdout.split('\n').at(-1) ?? '') as Measured;
  for (const figure of [...Object.values(most), ...Object.values(stayed)]) expect(figure).toBeLessThan(0.75 * KERNEL);
  // pages that the allocator has touched for the first time: up to 1.2 kernels; one kernel a step would be a hundred
  expect(resident).toBeLessThan(3 * KERNEL);
  expect(changed).toBe(0);
});
