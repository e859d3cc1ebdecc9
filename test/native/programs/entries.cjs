// Every call that gives a promise, each with the arrays that it takes, and what it is to give: the bits of its twin.
const { ConjugateGradient, FisherOperator, LayerPreconditioner, Preconditioner, preconditionAll } = require('cgfac');
const { numbers } = require('./long-solve.cjs');

const [width, batch] = [96, 24];
exports.width = width;
const layer = { inFeatures: width, outFeatures: width, damping: 1e-3, lossReduction: 'sum' };
const dense = { inFeatures: width, outFeatures: width, bias: false };
const options = { lossReduction: 'sum', preset: 'adaptive', stepRule: 'polyak', weightDecay: 0.1, seed: 1 };

exports.numbers = numbers;
const rows = () => ({ inputs: numbers(batch * width, 1), outputGrads: numbers(batch * width, 2) });
const vector = (seed = 3) => numbers(width * width, seed);
const room = () => new Float32Array(width * width);

const operator = (given) => new FisherOperator({ ...layer, ...given, batch });
const recorded = () => {
  const preconditioner = new LayerPreconditioner(layer);
  preconditioner.record({ ...rows(), batch });
  return preconditioner;
};
const solver = () => new ConjugateGradient({ maxIterations: 15, tolerance: 0, space: 'weight' });
const registered = (weights) => {
  const preconditioner = new Preconditioner(options);
  preconditioner.registerDense('layer', { ...dense, weights });
  return preconditioner;
};
const withRows = (preconditioner) => {
  const { inputs, outputGrads: lossGrads } = rows();
  preconditioner.record('layer', { inputs, lossGrads, batch });
  return preconditioner;
};
const network = (weights) => withRows(registered(weights));

// The arrays in a state, by their path.
const arraysIn = (value, path = 'state') => {
  if (value instanceof Float32Array) return [[path, value]];
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return Object.entries(value).flatMap(([name, each]) => arraysIn(each, `${path}.${name}`));
};
// Them, and what else a call is made of.
const stateArrays = (state, source) =>
  Object.defineProperty(Object.fromEntries(arraysIn(state)), 'source', { value: source });
const stepped = () => {
  const weights = vector(6);
  const preconditioner = network(weights);
  preconditioner.naturalGradientsSync({ loss: 1 });
  return { preconditioner, weights };
};
const loaded = (state, weights) => {
  const preconditioner = registered(weights);
  preconditioner.loadStateDict(state);
  return withRows(preconditioner);
};

// `arrays`: what the caller may do something to; `out` names those that are written. `start` makes the call, `finish`
// takes what it gave, and both twins give one array of numbers.
exports.entries = {
  apply: {
    out: ['out'],
    arrays: () => ({ ...rows(), v: vector(), out: room() }),
    start: ({ v, out, ...given }) => operator(given).apply(v, { out }),
    sync: ({ v, out: _, ...given }) => operator(given).applySync(v),
  },
  solve: {
    out: ['out'],
    arrays: () => ({ ...rows(), v: vector(), x0: vector(4), out: room() }),
    start: ({ v, x0, out, ...given }) =>
      solver()
        .solve(operator(given), v, { x0, out })
        .then(({ x }) => x),
    sync: ({ v, x0, out: _, ...given }) => solver().solveSync(operator(given), v, { x0 }).x,
  },
  precondition: {
    out: ['out'],
    arrays: () => ({ v: vector(), out: room() }),
    start: ({ v, out }) =>
      recorded()
        .precondition(v, { out })
        .then(({ x }) => x),
    sync: ({ v }) => recorded().preconditionSync(v).x,
  },
  'precondition in place': {
    out: ['v'],
    arrays: () => ({ v: vector() }),
    start: ({ v }) =>
      recorded()
        .precondition(v, { out: v })
        .then(({ x }) => x),
    sync: ({ v }) => recorded().preconditionSync(v, { out: v }).x,
  },
  naturalGradient: {
    out: ['out'],
    arrays: () => ({ ...rows(), lossGrads: numbers(batch * width, 5), out: room() }),
    start: (given) =>
      recorded()
        .naturalGradient({ ...given, batch })
        .then(({ x }) => x),
    sync: ({ out: _, ...given }) => recorded().naturalGradientSync({ ...given, batch }).x,
  },
  'naturalGradient that updates': {
    out: ['weights'],
    arrays: () => ({ ...rows(), lossGrads: numbers(batch * width, 5), weights: vector(6) }),
    start: ({ weights, ...given }) =>
      recorded()
        .naturalGradient({ ...given, batch, applyTo: { weights, learningRate: 0.5 } })
        .then(() => weights),
    sync: ({ weights, ...given }) => {
      recorded().naturalGradientSync({ ...given, batch, applyTo: { weights, learningRate: 0.5 } });
      return weights;
    },
  },
  preconditionAll: {
    out: ['out'],
    arrays: () => ({ v: vector(), out: room() }),
    start: ({ v, out }) => preconditionAll([{ layer: recorded(), v, out }]).then(([{ x }]) => x),
    sync: ({ v }) => recorded().preconditionSync(v).x,
  },
  step: {
    out: ['gradient'],
    arrays: () => ({ gradient: vector(), weights: vector(6) }),
    start: ({ gradient, weights }) =>
      network(weights)
        .step({ layer: gradient }, { loss: 1 })
        .then(() => gradient),
    sync: ({ gradient, weights }) => {
      network(weights).stepSync({ layer: gradient }, { loss: 1 });
      return gradient;
    },
  },
  naturalGradients: {
    out: ['weights'],
    arrays: () => ({ weights: vector(6) }),
    start: ({ weights }) =>
      network(weights)
        .naturalGradients({ loss: 1 })
        .then(() => weights),
    sync: ({ weights }) => {
      network(weights).naturalGradientsSync({ loss: 1 });
      return weights;
    },
  },
  'naturalGradients of gradients': {
    out: ['weights'],
    arrays: () => ({ gradient: vector(), weights: vector(6) }),
    start: ({ gradient, weights }) =>
      network(weights)
        .naturalGradients({ loss: 1, gradients: { layer: gradient } })
        .then(() => weights),
    sync: ({ gradient, weights }) => {
      network(weights).naturalGradientsSync({ loss: 1, gradients: { layer: gradient } });
      return weights;
    },
  },
  // what is read, or given, at once
  'a step after loadStateDict': {
    out: [],
    atOnce: true,
    arrays: () => {
      const state = stepped().preconditioner.stateDict();
      return stateArrays(state, state);
    },
    start: ({ source }) => {
      const weights = vector(6);
      return loaded(source, weights)
        .naturalGradients({ loss: 1 })
        .then(() => weights);
    },
    sync: ({ source }) => {
      const weights = vector(6);
      loaded(source, weights).naturalGradientsSync({ loss: 1 });
      return weights;
    },
  },
  'a step after stateDict': {
    out: [],
    atOnce: true,
    arrays: () => {
      const own = stepped();
      return stateArrays(own.preconditioner.stateDict(), own);
    },
    start: ({ source: { preconditioner, weights } }) =>
      withRows(preconditioner)
        .naturalGradients({ loss: 1 })
        .then(() => weights),
    sync: ({ source: { preconditioner, weights } }) => {
      withRows(preconditioner).naturalGradientsSync({ loss: 1 });
      return weights;
    },
  },
};
