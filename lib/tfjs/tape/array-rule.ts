/** What a rule of a backward pass in arrays is given, and the samples that the pass goes through. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { size } from '../kernels/heap';
import type { Reader } from './numbers';
import type { Room } from './room';
import type { TapeNode } from './tape';

/**
 * The first samples of a batch, or all of them.
 *
 * The numbers of a tensor are (outer × samples × inner), row-major, whatever its shape is: `outer` says where its
 * samples stand. An array of the pass has those of the samples that it goes through, (outer × count × inner). Of a pass
 * over all samples it does not matter where they stand, and `outer` is 1 everywhere.
 */
export class Samples {
  readonly samples: number;
  /** The number of samples that are gone through. */
  readonly count: number;

  constructor(samples: number, count: number) {
    this.samples = samples;
    this.count = count;
  }

  /** Whether all samples are gone through. */
  get all(): boolean {
    return this.count === this.samples;
  }

  /** The numbers of one sample that stand together. */
  innerOf(numbers: number, outer: number): number {
    return this.all ? numbers : numbers / (outer * this.samples);
  }

  /** How many numbers the pass has of a tensor of so many. */
  lengthOf(numbers: number): number {
    return this.all ? numbers : (numbers / this.samples) * this.count;
  }

  /**
   * The axis of the samples; `undefined` where they are not on one of their own. Of a pass over all of them it is none,
   * −1.
   */
  axisOf(shape: readonly number[], outer: number): number | undefined {
    if (this.all) return -1;
    let before = 1;
    for (const [axis, extent] of shape.entries()) {
      if (before === outer && extent === this.samples) return axis;
      before *= extent;
    }
    return undefined;
  }

  /** Where the samples stand that are on an axis. */
  outerOf(shape: readonly number[], axis: number): number {
    return axis < 0 ? 1 : size(shape.slice(0, axis));
  }

  /** The shape of what the pass has of a tensor whose samples are on an axis. */
  shapeOf(shape: readonly number[], axis: number): number[] {
    return shape.map((extent, at) => (at === axis ? this.count : extent));
  }

  /** What the pass has of numbers, and perhaps others behind. */
  numbersOf(numbers: Float32Array, outer: number): Float32Array {
    if (this.all || outer === 1) return numbers;
    const inner = this.innerOf(numbers.length, outer);
    const some = new Float32Array(this.lengthOf(numbers.length));
    for (let block = 0; block < outer; block++) {
      const from = block * this.samples * inner;
      some.set(numbers.subarray(from, from + this.count * inner), block * this.count * inner);
    }
    return some;
  }
}

/** What the ops of a pass have in common. */
export interface Pass {
  readonly samples: Samples;
  readonly read: Reader;
  readonly room: Room;
}

/** An op on the way of a pass. */
export interface Op {
  readonly node: TapeNode;
  /** The inputs that the pass goes on to, by name. */
  readonly wanted: readonly (readonly [name: string, input: Tensor])[];
  /** Where the samples stand in its outputs: see {@link Samples}. */
  readonly outer: number;
  readonly pass: Pass;
}

/** The gradients of the inputs that are wanted of an op. */
export interface OpGradients {
  /** Where the samples stand in each of these inputs. */
  readonly outers: readonly number[];
  /**
   * Computes them from those of the outputs, of which one that leads nowhere is `undefined`: in arrays of the pass's
   * room, or the arrays of outputs themselves. None of them is written to.
   */
  compute(outputGradients: readonly (Float32Array | undefined)[]): readonly Float32Array[];
}

/** What an op makes of gradients; `undefined` of a use of it that the rule does not know. */
export type Rule = (op: Op) => OpGradients | undefined;
