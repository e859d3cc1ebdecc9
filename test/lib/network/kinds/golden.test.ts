/** Kinds of layers against float64 results of independent code, through `Preconditioner`. */
import { relativeError } from '../../../support/golden-case';
import { GoldenKind, kindCases, numbersOf, vectorOf } from '../../../support/golden-kinds';

const table = kindCases.flatMap((name) => new GoldenKind(name).sharings.map((sharing) => [name, sharing] as const));
const joined = (arrays: readonly Float64Array[]) => Float64Array.from(arrays.flatMap((array) => [...array]));

describe.each(table)('%s, %s', (name, sharing) => {
  const golden = new GoldenKind(name);
  const { gradient, direction } = golden.expected(sharing);

  it('step() makes the direction of a gradient that is given', () => {
    for (const lossGrads of [true, false]) {
      const layer = vectorOf(gradient);
      golden.recorded(sharing, {}, lossGrads).stepSync({ layer });
      expect(relativeError(numbersOf(layer), joined(direction))).toBeLessThan(1e-5);
    }
  });

  it('naturalGradients() forms the gradient of its rows, or takes the one that is given', () => {
    const given = vectorOf(gradient);
    for (const options of [{}, { gradients: { layer: given } }]) {
      const { updates } = golden.recorded(sharing).naturalGradientsSync(options);
      expect(relativeError(numbersOf(updates.layer ?? new Float32Array()), joined(direction))).toBeLessThan(1e-5);
    }
    expect(given).toEqual(vectorOf(gradient));
  });

  it('a gradient of rows alone is that of the framework', () => {
    // with a damping far above the factors the direction is the gradient over λ
    const { updates } = golden.recorded(sharing, { damping: 1e18 }).naturalGradientsSync();
    const numbers = numbersOf(updates.layer ?? new Float32Array()).map((number) => number * 1e18);
    expect(relativeError(numbers, joined(gradient))).toBeLessThan(2e-6);
  });
});
