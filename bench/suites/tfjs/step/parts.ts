/** Where the time of a training step goes. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Optimizer } from '@tensorflow/tfjs-core';

/** Milliseconds of a step, and of its parts; what no part has is the 'rest'. */
export interface StepTime {
  readonly ms: number;
  readonly parts: Readonly<Record<string, number>>;
}

/** Calls a step and times it, with its parts as they are told to `note`. */
async function timedStep(
  step: () => Promise<unknown>,
  listen: (note: (part: string, milliseconds: number) => void) => () => void,
): Promise<StepTime> {
  const parts: Record<string, number> = {};
  const stop = listen((part, milliseconds) => {
    parts[part] = (parts[part] ?? 0) + milliseconds;
  });
  try {
    const begin = performance.now();
    await step();
    const ms = performance.now() - begin;
    const told = Object.values(parts).reduce((sum, each) => sum + each, 0);
    return { ms, parts: { ...parts, rest: ms - told } };
  } finally {
    stop();
  }
}

/** A step of cgfac(), which publishes its parts. */
export function stepOfCgfac(step: () => Promise<unknown>): Promise<StepTime> {
  return timedStep(step, (note) => {
    const heard = (message: unknown) => {
      const { part, milliseconds } = message as { readonly part: string; readonly milliseconds: number };
      note(part, milliseconds);
    };
    subscribe('cgfac:part', heard);
    return () => unsubscribe('cgfac:part', heard);
  });
}

/** A step of an optimizer of TensorFlow.js: forward, backward, and the update. */
export function stepOf(optimizer: Optimizer, step: () => Promise<unknown>): Promise<StepTime> {
  return timedStep(step, (note) => {
    const { computeGradients, applyGradients } = optimizer;
    const timed = <T>(part: string, body: () => T): T => {
      const begin = performance.now();
      const result = body();
      note(part, performance.now() - begin);
      return result;
    };
    optimizer.computeGradients = (f, variables) => {
      let forward = 0;
      const timedForward = () => {
        const begin = performance.now();
        const loss = f();
        forward = performance.now() - begin;
        return loss;
      };
      const begin = performance.now();
      const result = computeGradients.call(optimizer, timedForward, variables);
      note('forward', forward);
      note('backward', performance.now() - begin - forward);
      return result;
    };
    optimizer.applyGradients = (gradients) => timed('update', () => applyGradients.call(optimizer, gradients));
    return () => {
      Reflect.deleteProperty(optimizer, 'computeGradients');
      Reflect.deleteProperty(optimizer, 'applyGradients');
    };
  });
}
