/** Whether a value has the form of a saved state. */
import { isFloat32Array } from 'node:util/types';
import type { StoredLayer, StoredVector } from '../../adapter-kit';
import type { AxisRange } from '../kinds/part';
import type {
  SavedAverage,
  SavedBlock,
  SavedLayer,
  SavedPart,
  SavedPlain,
  SavedState,
  SavedStatistic,
} from './saved-state';

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Whether a value is an integer ≥ 0. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isMissingOr<T>(value: unknown, check: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || check(value);
}

function isAverage(value: unknown): value is SavedAverage {
  return isObject(value) && isCount(value.created) && isFloat32Array(value.values) && isMissingOr(value.steps, isCount);
}

function isVector(value: unknown): value is StoredVector {
  return isObject(value) && isFloat32Array(value.kernel) && isMissingOr(value.bias, isFloat32Array);
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

/** Of the factors and of a solver's state the native half knows the form. */
function isStoredLayer(value: unknown): value is StoredLayer {
  return (
    isObject(value) &&
    typeof value.started === 'boolean' &&
    isMissingOr(value.momentum, isVector) &&
    isMissingOr(value.steps, isCount) &&
    isMissingOr(value.momentumProduct, isNumber) &&
    isMissingOr(value.assumedCurvature, isNumber) &&
    (value.rows === undefined || (isObject(value.rows) && isCount(value.rows.input) && isCount(value.rows.output))) &&
    isMissingOr(value.factors, isObject) &&
    isMissingOr(value.solver, isObject)
  );
}

function isRange(value: unknown): value is AxisRange {
  return isObject(value) && [value.length, value.inner, value.from, value.to].every(isCount);
}

function isPart(value: unknown): value is SavedPart {
  return (
    isObject(value) &&
    Array.isArray(value.shape) &&
    value.shape.every(isCount) &&
    isCount(value.digest) &&
    isMissingOr(value.range, isRange)
  );
}

function isBlock(value: unknown): value is SavedBlock & Fields {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    isMissingOr(value.kernel, isPart) &&
    isMissingOr(value.bias, isPart)
  );
}

function isLayer(value: unknown): value is SavedLayer {
  if (!isBlock(value) || !isStoredLayer(value.state) || !Array.isArray(value.averages)) return false;
  return value.averages.length === 2 && value.averages.every((average) => isMissingOr(average, isAverage));
}

function isPlain(value: unknown): value is SavedPlain {
  return isBlock(value) && isMissingOr(value.average, isAverage) && isMissingOr(value.state, isStoredLayer);
}

function isStatistic(value: unknown): value is SavedStatistic {
  if (!isObject(value) || !isFloat32Array(value.values)) return false;
  return value.size === value.values.length && isCount(value.digest) && isCount(value.passes) && value.passes > 0;
}

const isStatistics = (value: unknown): value is readonly SavedStatistic[] =>
  Array.isArray(value) && value.every(isStatistic);

const isText = (value: unknown): value is string => typeof value === 'string';

/** Whether a value has the form of a state, whatever layers it is of. */
export function isState(value: unknown): value is SavedState {
  if (!isObject(value) || !isObject(value.skippedSteps)) return false;
  const { steps, skippedSteps, averaged, soft, layers, plain } = value;
  if (!isMissingOr(value.adaptation, isObject) || !isMissingOr(value.preset, isText)) return false;
  if (!isMissingOr(value.statistics, isStatistics)) return false;
  if (![steps, skippedSteps.total, skippedSteps.inARow, averaged].every(isCount) || typeof soft !== 'boolean')
    return false;
  return Array.isArray(layers) && layers.every(isLayer) && Array.isArray(plain) && plain.every(isPlain);
}
