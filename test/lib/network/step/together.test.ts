/** Hidden layers together go no further than one of them alone may: Σ‖ηx‖/(τR) ≤ 1. */
import { Preconditioner, type WeightVector } from 'cgfac';
import { arraysOf } from '../../../support/layers';

const change = 1e-3;
/** R of a kernel of 6 × 4. */
const scale = Math.sqrt(48 / 10);
const numbers = (length: number) => Float32Array.from({ length }, (_, i) => 2 * Math.sin(1 + i));
const lengthOf = (vector: WeightVector | undefined) =>
  Math.hypot(...(vector === undefined ? [] : arraysOf(vector).flatMap((array) => [...array])));

/** Where a layer stands, and how often it is used. */
interface Place {
  readonly output?: boolean;
  readonly recurrent?: boolean;
  readonly attended?: boolean;
  readonly sites?: number;
  readonly depth?: number;
}

/** ‖M‖ of layers of 6 × 4 after a step that would be far too long, in parts of τR of a hidden layer. */
function moved(
  layers: Readonly<Record<string, Place>>,
  targets: 'hard' | 'soft',
  maxRelativeChange: number = change,
): Record<string, number> {
  const preconditioner = new Preconditioner({
    ...{ preset: 'adaptive', useEma: false, lossReduction: 'sum', damping: { relative: 1e-3 }, maxRelativeChange },
  });
  for (const [name, { sites = 1, depth: _, ...more }] of Object.entries(layers)) {
    preconditioner.registerDense(name, { inFeatures: 6, outFeatures: 4, bias: false, ...more });
    for (let site = 0; site < sites; site++)
      preconditioner.record(name, { inputs: numbers(60), lossGrads: numbers(40), batch: 10, site });
    preconditioner.recordFisher(name, { outputGrads: numbers(40), batch: 10 });
  }
  const depths = Object.fromEntries(
    Object.entries(layers).flatMap(([name, { depth }]) => (depth === undefined ? [] : [[name, depth] as const])),
  );
  const { updates } = preconditioner.naturalGradientsSync({ loss: 1e6, targets, depths });
  return Object.fromEntries(
    Object.keys(layers).map((name) => [name, lengthOf(updates[name]) / (maxRelativeChange * scale)]),
  );
}

const hidden = (count: number, more: Place = {}) =>
  Object.fromEntries(Array.from({ length: count }, (_, l) => [`layer ${l}`, more]));

test('one length for all layers: each of n has an n-th of the bound of one', () => {
  for (const count of [1, 2, 5, 20])
    for (const length of Object.values(moved(hidden(count), 'hard'))) expect(length).toBeCloseTo(1 / count, 5);
});

test('one length for each layer: three of them have what one has, which is .3 of the bound, and more share it', () => {
  for (const count of [1, 3, 5, 20])
    for (const length of Object.values(moved(hidden(count), 'soft')))
      expect(length).toBeCloseTo(0.5 * Math.min(0.3, 1 / count), 5);
});

test('the step keeps its direction: an output has the same part of its length', () => {
  const { last: alone = Number.NaN } = moved({ 'layer 0': {}, last: { output: true } }, 'hard');
  const { last: below = Number.NaN } = moved({ ...hidden(4), last: { output: true } }, 'hard');
  expect(alone).toBeGreaterThan(1);
  expect(below / alone).toBeCloseTo(1 / 4, 5);
});

test.each(['output', 'recurrent', 'attended'])('what is %s has bounds of its own, and no part in this one', (which) => {
  const others = Object.fromEntries([1, 2, 3, 4].map((l) => [`other ${l}`, { [which]: true }]));
  expect(moved({ ...others, ...hidden(1) }, 'hard')['layer 0']).toBeCloseTo(1, 5);
});

test('layers that are used twice, as the kernels of gates are, keep their own bounds', () => {
  for (const length of Object.values(moved(hidden(5, { sites: 2 }), 'hard'))) expect(length).toBeCloseTo(1, 5);
});

test('of layers of one depth one counts: branches have the bound of a chain of their length', () => {
  const branches = Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`layer ${at}`, { depth: at % 2 }]));
  for (const length of Object.values(moved(branches, 'hard'))) expect(length).toBeCloseTo(1 / 2, 5);
});

test('a layer whose depth is not known counts by itself', () => {
  const layers = { ...hidden(2, { depth: 0 }), 'elsewhere 1': {}, 'elsewhere 2': {} };
  for (const length of Object.values(moved(layers, 'hard'))) expect(length).toBeCloseTo(1 / 3, 5);
});

test('a larger bound is one for all of them together, too', () => {
  for (const length of Object.values(moved(hidden(5), 'hard', 3 * change))) expect(length).toBeCloseTo(1 / 5, 5);
});
