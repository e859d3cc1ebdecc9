/**
 * The only file that touches the internals of TensorFlow.js: the tape of the forward pass, and the counters of the
 * engine that say whether it is being written, and what was made meanwhile.
 *
 * A tape node lacks what a layer has to be known by: its kernel (an op with a gradient of its own, as those with a
 * fused kernel are, is filed under the name of its scope) and its attributes. Both pass through
 * `engine.runKernelFunc`, so that method is shadowed on the engine while the loss is computed, and what goes through it
 * is noted on the node that it leaves behind.
 */
import {
  clone,
  dispose,
  engine,
  fill,
  type NamedTensorMap,
  type Scalar,
  Tensor,
  type TensorInfo,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { timed } from '../../adapter-kit';
import { explain, noGradient, versionError } from './errors';
import { isMadeSince, requireScalar, type TensorForm } from './loss';
import { type KernelNote, NO_ATTRIBUTES, noteOfCustomOp } from './notes';

/** Gradient functions of a node's inputs, by input name. */
export type InputGradients = Readonly<Record<string, () => Tensor>>;

interface EngineNode {
  readonly id: number;
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, Tensor | null | undefined>>;
  readonly outputs: readonly Tensor[];
  readonly saved?: readonly Tensor[];
  gradient?: (outputGradients: readonly (Tensor | null)[]) => InputGradients;
}

interface EngineState {
  activeTape: EngineNode[] | null | undefined;
  gradientDepth: number;
  kernelDepth: number;
}

interface KernelCall {
  readonly kernelName?: string;
  readonly attrs?: Readonly<Record<string, unknown>>;
}

interface EngineInternals {
  readonly state: EngineState;
  runKernelFunc: (call: KernelCall) => unknown;
  readonly nextTensorId: () => number;
}

/** What a kind of layer tells of its ops, and TensorFlow.js does not. */
export interface OpKind {
  /**
   * The kernels that TensorFlow.js runs inside an op with a gradient of its own. An op that runs one of them, and
   * nothing else, is known by that kernel.
   */
  readonly fusedKernels: readonly string[];
  /**
   * Gradient functions for the inputs `wanted` of an op of this kind, where there are cheaper ones than those of its
   * kernel; `undefined` for everything else.
   */
  gradientsFor(node: TapeNode, outputGradient: Tensor, wanted: readonly string[]): InputGradients | undefined;
}

/** One operation of the forward pass. */
export class TapeNode {
  /**
   * The kernel, `'Softmax'` say; for an op with a gradient of its own, the name of its scope
   * (`'softmaxCrossEntropy__op'`), or its fused kernel.
   */
  readonly kernel: string;
  /** The attributes of the kernel (transposes, axes, …). */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The inputs by name. Some are disposed of already: their ids and shapes remain. */
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** The outputs. */
  readonly outputs: readonly Tensor[];
  /**
   * What the gradient of the kernel keeps, in the kernel's own order; alive until the normal backward pass has ended.
   */
  readonly saved: readonly Tensor[];
  readonly #node: EngineNode;
  readonly #kinds: readonly OpKind[];

  constructor(node: EngineNode, note: KernelNote, kinds: readonly OpKind[]) {
    const inputs = new Map<string, Tensor>();
    for (const [name, tensor] of Object.entries(node.inputs)) {
      if (tensor) inputs.set(name, tensor);
    }
    this.kernel = note.kernel;
    this.attributes = note.attributes;
    this.inputs = inputs;
    this.outputs = node.outputs;
    this.saved = node.saved ?? [];
    this.#node = node;
    this.#kinds = kinds;
  }

  /**
   * The gradient functions of the inputs `wanted`, and perhaps of others: those of a kind of layer where one has any,
   * else those of the kernel. `null` stands for the gradient of an output that leads nowhere.
   */
  gradient(outputGradients: readonly (Tensor | null)[], wanted: readonly string[]): InputGradients {
    const [first] = outputGradients;
    for (const kind of first ? this.#kinds : []) {
      const found = first && kind.gradientsFor(this, first, wanted);
      if (found) return found;
    }
    if (!this.#node.gradient) throw noGradient(this.kernel);
    return this.#node.gradient(outputGradients);
  }

  /**
   * Has the normal backward pass use other gradient functions, made of the gradient of the first output and of the
   * kernel's own.
   */
  replaceGradient(make: (outputGradient: Tensor, own: () => InputGradients) => InputGradients): void {
    const inner = this.#node.gradient;
    if (!inner) return;
    this.#node.gradient = (outputGradients) => {
      const first = outputGradients[0];
      return first ? make(first, () => inner(outputGradients)) : inner(outputGradients);
    };
  }

  /** Has `listener` called with the gradient of the first output when the normal backward pass reaches this node. */
  observe(listener: (outputGradient: Tensor) => void): void {
    const inner = this.#node.gradient;
    if (!inner) return;
    this.#node.gradient = (outputGradients) => {
      const first = outputGradients[0];
      if (first) listener(first);
      return inner(outputGradients);
    };
  }
}

function internals(): EngineInternals {
  const candidate = engine() as unknown as EngineInternals;
  for (const name of ['runKernelFunc', 'nextTensorId'] as const)
    if (typeof candidate[name] !== 'function') throw versionError(`a method ${name}`, typeof candidate[name]);
  const { gradientDepth, kernelDepth } = candidate.state ?? {};
  if (typeof gradientDepth !== 'number' || typeof kernelDepth !== 'number') {
    throw versionError(
      'the counters gradientDepth and kernelDepth',
      `${typeof gradientDepth} and ${typeof kernelDepth}`,
    );
  }
  return candidate;
}

function isNode(node: EngineNode): boolean {
  return (
    typeof node.kernelName === 'string' &&
    typeof node.inputs === 'object' &&
    Array.isArray(node.outputs) &&
    (node.saved === undefined || Array.isArray(node.saved)) &&
    (node.gradient === undefined || typeof node.gradient === 'function')
  );
}

/** Runs `f` and notes the kernel and the attributes of every node that it leaves on the tape. */
function noteKernels<T>(
  core: EngineInternals,
  notes: WeakMap<EngineNode, KernelNote>,
  fused: readonly string[],
  f: () => T,
): T {
  const shadowed = Object.getOwnPropertyDescriptor(core, 'runKernelFunc');
  const original = core.runKernelFunc;
  const open: KernelNote[][] = [];
  core.runKernelFunc = (call) => {
    const recording = core.state.gradientDepth > 0 && core.state.kernelDepth === 0;
    const ran: KernelNote[] = [];
    open.push(ran);
    try {
      return original.call(core, call);
    } finally {
      open.pop();
      const note = { kernel: call.kernelName ?? '', attributes: call.attrs ?? NO_ATTRIBUTES };
      open.at(-1)?.push(note);
      // The op's own node comes last: the copies that it saved for its gradient stand before it.
      const node = recording ? core.state.activeTape?.at(-1) : undefined;
      if (node) notes.set(node, call.kernelName === undefined ? noteOfCustomOp(node.kernelName, ran, fused) : note);
    }
  };
  try {
    return f();
  } finally {
    if (shadowed) Object.defineProperty(core, 'runKernelFunc', shadowed);
    else Reflect.deleteProperty(core, 'runKernelFunc');
  }
}

function readTape(
  nodes: readonly EngineNode[],
  notes: WeakMap<EngineNode, KernelNote>,
  kinds: readonly OpKind[],
): TapeNode[] {
  return nodes.map((node) => {
    if (!isNode(node))
      throw versionError(
        'nodes with kernelName, inputs, outputs, saved and gradient',
        `a node with ${Object.keys(node).join(', ')}`,
      );
    // A node without a note is the copy of a tensor that was saved.
    return new TapeNode(node, notes.get(node) ?? { kernel: 'Identity', attributes: NO_ATTRIBUTES }, kinds);
  });
}

/** All variables that TensorFlow.js knows. */
export function registeredVariables(): Variable[] {
  return Object.values(engine().registeredVariables);
}

/**
 * The form of a tensor whose numbers TensorFlow.js has; `undefined` of anything else, an object that looks like one
 * too. It runs code of the caller's where a value has such.
 */
export function formOf(value: unknown): TensorForm | undefined {
  if (!(value instanceof Tensor)) return undefined;
  const { dtype, shape, isDisposed } = value;
  const isKnown = isDisposed || engine().state.tensorInfo.has(value.dataId);
  return isKnown ? { dtype, shape: [...shape], isDisposed } : undefined;
}

/** What a kernel gave as a tensor of the scope. */
export function tensorOf(output: TensorInfo): Tensor {
  return engine().makeTensorFromTensorInfo(output);
}

/**
 * Leaves a tape on which the loss depends on one of `variables` alone, by a gradient of zero, so that the backward pass
 * has nothing to do; the smallest of them.
 */
function leaveNothing({ state }: EngineInternals, loss: Scalar, variables: readonly Variable[]): void {
  const { activeTape } = state;
  const [first, ...others] = variables;
  if (!activeTape || first === undefined) return;
  for (const node of activeTape) dispose([...(node.saved ?? [])]);
  const variable = others.reduce((least, each) => (each.size < least.size ? each : least), first);
  const gradient = () => ({ x: () => fill(variable.shape, 0) });
  state.activeTape = [{ id: 0, kernelName: 'Identity', inputs: { x: variable }, outputs: [loss], saved: [], gradient }];
}

/** Runs `f` with the tape paused: what it computes leaves no nodes and saves no tensors. */
export function withoutRecording<T>(f: () => T): T {
  const { state } = internals();
  state.kernelDepth++;
  try {
    return f();
  } finally {
    state.kernelDepth--;
  }
}

/**
 * Runs `f` with the tape going on, shows `use` the nodes that it left there, and takes them off again: derivatives of
 * derivatives. Call it with recording paused.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_KERNEL` for a backend that lacks a kernel, or a kernel without a gradient.
 */
export function secondTape<T, U>(f: () => T, use: (added: readonly TapeNode[], result: T) => U): U {
  const core = internals();
  const { state } = core;
  const { kernelDepth, activeTape } = state;
  if (!Array.isArray(activeTape)) throw versionError('an array activeTape', typeof activeTape);
  const start = activeTape.length;
  const notes = new WeakMap<EngineNode, KernelNote>();
  try {
    state.kernelDepth = 0;
    let result: T;
    try {
      result = noteKernels(core, notes, [], f);
    } finally {
      state.kernelDepth = kernelDepth;
    }
    return use(readTape(activeTape.slice(start), notes, []), result);
  } catch (error) {
    throw explain(error);
  } finally {
    for (const node of activeTape.splice(start)) dispose([...(node.saved ?? [])]);
  }
}

/**
 * `tf.variableGrads` with a look at the tape: when `f` has returned its loss, and before the backward pass,
 * `afterForward` gets the nodes in the order of execution. Where it calls `leaveOut` the backward pass is left out, and
 * the one gradient that is returned, of one of the variables named there, means nothing; not under a gradient that is
 * being computed around this one. `f` is called once. If anything throws, the tensors kept by the tape and the loss are
 * disposed of. The loss that is returned is one that `f` made, or a copy.
 *
 * @param kinds - Those whose ops the nodes are to know.
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_VERSION` for an engine of another form, `ERR_CGFAC_TFJS_KERNEL` for a
 * backend that lacks a kernel, `ERR_CGFAC_INVALID_ARG_TYPE` for a loss that is not a scalar, `ERR_CGFAC_DISPOSED` for
 * one that was disposed of, `ERR_CGFAC_INVALID_ARG_VALUE` for one that depends on no variable.
 */
export function variableGradients(
  f: () => Scalar,
  variables: Variable[] | undefined,
  kinds: readonly OpKind[],
  afterForward: (tape: readonly TapeNode[], loss: Scalar, leaveOut: (known: readonly Variable[]) => void) => void,
): { value: Scalar; grads: NamedTensorMap } {
  const core = internals();
  const before = core.state.activeTape;
  const outermost = core.state.gradientDepth === 0;
  const start = outermost ? 0 : (before?.length ?? 0);
  const notes = new WeakMap<EngineNode, KernelNote>();
  const fused = kinds.flatMap(({ fusedKernels }) => fusedKernels);
  const first = core.nextTensorId();
  let made: Tensor | undefined;
  try {
    const forward = () => {
      const returned = timed('forward', () => noteKernels(core, notes, fused, f));
      if (isMadeSince(first, returned)) made = returned;
      const given = requireScalar(returned, formOf);
      const loss = made === undefined ? clone(given) : given;
      made = loss;
      const tape = core.state.activeTape;
      if (!Array.isArray(tape)) throw versionError('an array activeTape', typeof tape);
      let leftOut: readonly Variable[] = [];
      const leaveOut = (known: readonly Variable[]) => {
        if (outermost) leftOut = known;
      };
      timed('capture', () => afterForward(readTape(tape.slice(start), notes, kinds), loss, leaveOut));
      leaveNothing(core, loss, leftOut);
      return loss;
    };
    return timed('backward', () => variableGrads(forward, variables));
  } catch (error) {
    const { activeTape } = core.state;
    if (outermost && activeTape && activeTape !== before) {
      for (const node of activeTape) dispose([...(node.saved ?? [])]);
      core.state.activeTape = null;
    }
    if (made && !made.isDisposed) made.dispose();
    throw explain(error);
  }
}
