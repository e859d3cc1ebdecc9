/** Ranks under TensorFlow.js one of which fares otherwise, and what they keep between steps. */
import { resolve } from 'node:path';
import { run } from '../../support/children';
import { relativeError } from '../support/backends';

/** What became of a case. */
interface Ended {
  /** By step: 'taken', or the words of an error. */
  readonly outcomes: readonly string[];
  readonly weights: readonly number[];
  readonly steps: number;
  readonly lone?: readonly string[];
  readonly whole?: readonly number[];
}

type Case = 'unknown' | 'shape' | 'list' | 'schedule' | 'kept' | 'penalty' | 'wrong' | 'disposed' | 'apart' | 'resumed';
type OfRank = Readonly<Record<Case, Ended>> & { readonly warned: readonly string[] };

interface Found {
  readonly ranks: readonly [OfRank, OfRank];
  readonly alone: Readonly<Record<'kept' | 'disposed' | 'resumed', Ended>>;
}

let found: Found;

beforeAll(async () => {
  const { end, stdout, stderr } = await run(resolve(__dirname, 'programs/ranks-apart.cjs'));
  expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
  found = JSON.parse(stdout) as Found;
});

const ofBoth = (name: Case) => found.ranks.map((rank) => rank[name]) as [Ended, Ended];
const told = 'ERR_CGFAC_COMMUNICATION: Expected a step that all ranks can take but received an error of rank 1: ';

test.each(['unknown', 'shape', 'list', 'schedule', 'kept', 'penalty', 'wrong', 'disposed', 'resumed'] as const)(
  '%s: both ranks go on with the same weights',
  (name) => {
    const [first, second] = ofBoth(name);
    expect(first.weights.length).toBeGreaterThan(0);
    expect(second.weights).toEqual(first.weights);
    expect(second.steps).toBe(first.steps);
    expect(first.outcomes.at(-1)).toBe('taken');
  },
);

test.each([
  ['unknown', /^ERR_CGFAC_TFJS_NO_CAPTURE: Expected gradients of the last computeGradients .* one of stranger;/],
  ['shape', /^ERR_CGFAC_SHAPE_MISMATCH: Expected a tensor of shape 3 × 3 for the gradient of other but .* of shape 9$/],
  ['list', /^ERR_CGFAC_INVALID_ARG_TYPE: Expected a variable for varList\[1\] but received null$/],
  ['schedule', /^ERR_CGFAC_INVALID_ARG_VALUE: .* weightDecay\(2\) but received one that throws: no decay$/],
] as const)('%s: an error of one rank in a step is told the other', (name, words) => {
  const [first, second] = ofBoth(name);
  expect(second.outcomes[2]).toMatch(words);
  expect(first.outcomes[2]).toBe(`${told}${second.outcomes[2]}`);
  expect(first.steps).toBe(3);
});

// the sums of ten products come in two pieces: see ranks.test.ts
test.each(['kept', 'disposed', 'resumed'] as const)('%s: the weights are those of one process', (name) => {
  expect(relativeError(found.ranks[0][name].weights, found.alone[name].weights)).toBeLessThanOrEqual(1e-6);
});

test('a state that all ranks have saved goes on with the same bits, and in one process', () => {
  const [{ weights, whole }] = ofBoth('resumed');
  expect(weights).toEqual(whole);
  expect(found.alone.resumed.outcomes).toEqual(['taken', 'taken']);
});

test('a loss without a layer takes a step, and the layers go on after it', () => {
  expect(ofBoth('penalty')[0].outcomes).toEqual(['taken', 'taken', 'taken', 'taken']);
});

test('a layer that fails its check on one rank has a diagonal on all, which rank 0 tells', () => {
  for (const { lone } of ofBoth('wrong')) expect(lone).toEqual(['kernel', 'other']);
  const warnings = found.ranks.map(({ warned }) => warned.filter((text) => text.includes('its block is a diagonal')));
  expect(warnings.map(({ length }) => length)).toEqual([2, 0]);
});

test('a variable that one rank alone has disposed of is an error on both, which changes nothing', () => {
  for (const { outcomes, steps } of ofBoth('apart')) {
    const words = 'the same variables disposed of between steps on all ranks but received none on rank 0 and other on ';
    expect(outcomes.slice(2)).toEqual(new Array(2).fill(`ERR_CGFAC_COMMUNICATION: Expected ${words}rank 1`));
    expect(steps).toBe(2);
  }
});
