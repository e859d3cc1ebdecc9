/** What a caller hands over for a step, checked before anything is done with it; no number of a tensor is read. */
import { type Tensor, Variable } from '@tensorflow/tfjs-core';
import { CgfacError, elementsOf, reading, typeError } from '../../adapter-kit';
import { variablesOf } from '../kinds/layer-kind';
import { formOf, registeredVariables } from '../tape/tape';
import type { KeptStep, Step } from './step';

type Named = readonly [name: string, value: unknown];

/** The variables that a loss is differentiated by. */
export interface GivenVariables {
  /** A copy of the list that was given; `undefined` where there was none. */
  readonly varList: Variable[] | undefined;
  /** The trainable variables of the list; where none was given, of all that TensorFlow.js knows. */
  readonly variables: readonly Variable[];
}

const shapeOf = (shape: readonly number[]): string => (shape.length === 0 ? 'a scalar' : shape.join(' × '));

/** Checks that what computes a loss is a function. */
export function requireLossFunction(f: unknown): void {
  if (typeof f !== 'function') throw typeError('a function that returns a scalar', 'f', f);
}

function requireVariable(value: unknown, name: string): Variable {
  const found = reading('a variable', name, () => {
    const form = value instanceof Variable ? formOf(value) : undefined;
    return form && { ...form, name: (value as Variable).name };
  });
  if (found === undefined) throw typeError('a variable', name, value);
  if (!found.isDisposed) return value as Variable;
  throw new CgfacError(
    'ERR_CGFAC_DISPOSED',
    `Expected a variable for ${name} but received ${found.name}, which was disposed of`,
  );
}

/**
 * Checks the variables that a loss is to be differentiated by.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE` for anything but an array of variables, `ERR_CGFAC_DISPOSED`.
 */
export function givenVariables(varList: unknown): GivenVariables {
  const given = varList === undefined || varList === null ? undefined : elementsOf(varList, 'varList');
  if (given === undefined && varList !== undefined && varList !== null)
    throw typeError('an array of variables', 'varList', varList);
  const list = given?.map((each, index) => requireVariable(each, `varList[${index}]`));
  return { varList: list, variables: (list ?? registeredVariables()).filter(({ trainable }) => trainable) };
}

/** What is given under names: the properties of an object, or the elements of an array, each read once. */
function namedValues(gradients: unknown): Named[] {
  const expected = 'an object or an array of named tensors';
  const elements = elementsOf(gradients, 'gradients');
  const isObject = typeof gradients === 'object' && gradients !== null && !ArrayBuffer.isView(gradients);
  if (elements === undefined && !isObject) throw typeError(expected, 'gradients', gradients);
  return reading(expected, 'gradients', () => {
    if (elements === undefined) return Object.entries(gradients as object);
    return elements.map((element, index): Named => {
      if (typeof element !== 'object' || element === null)
        throw typeError('a tensor with its name', `gradients[${index}]`, element);
      const { name, tensor } = element as { readonly name?: unknown; readonly tensor?: unknown };
      if (typeof name !== 'string') throw typeError('a string', `gradients[${index}].name`, name);
      return [name, tensor];
    });
  });
}

/** Checks that a value called `what` is a float32 tensor that is there. */
export function requireGradient(value: unknown, what: string): Tensor {
  const found = reading('a float32 tensor', what, () => formOf(value));
  if (found === undefined) throw typeError('a float32 tensor', what, value);
  if (found.isDisposed)
    throw new CgfacError(
      'ERR_CGFAC_DISPOSED',
      `Expected a float32 tensor for ${what} but received one that was disposed of`,
    );
  if (found.dtype === 'float32') return value as Tensor;
  throw new CgfacError(
    'ERR_CGFAC_INVALID_ARG_TYPE',
    `Expected a float32 tensor for ${what} but received one of ${found.dtype}`,
  );
}

/**
 * Checks that gradients are float32 tensors, and gives them by the names of their variables. A variable that is not
 * trainable, or that the loss does not depend on, has none.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_DISPOSED`.
 */
export function givenGradients(gradients: unknown): Map<string, Tensor> {
  const named = namedValues(gradients).filter(([, value]) => value !== undefined && value !== null);
  return new Map(named.map(([name, value]) => [name, requireGradient(value, `the gradient of ${name}`)]));
}

/**
 * Checks that gradients have the shapes of the variables of a step, which are there.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DISPOSED`.
 */
export function requireFitting({ layers, lone }: Step | KeptStep, gradients: ReadonlyMap<string, Tensor>): void {
  const variables = new Set([...layers.flatMap(variablesOf), ...lone.map(({ variable }) => variable)]);
  for (const { name, shape, isDisposed } of variables) {
    if (isDisposed)
      throw new CgfacError(
        'ERR_CGFAC_DISPOSED',
        `Expected the variables of the last computeGradients for applyGradients but received ${name} disposed of`,
      );
    const gradient = gradients.get(name);
    const given = gradient && reading('a float32 tensor', `the gradient of ${name}`, () => shapeOf(gradient.shape));
    if (given === undefined || given === shapeOf(shape)) continue;
    throw new CgfacError(
      'ERR_CGFAC_SHAPE_MISMATCH',
      `Expected a tensor of shape ${shapeOf(shape)} for the gradient of ${name} but received one of shape ${given}`,
    );
  }
}
