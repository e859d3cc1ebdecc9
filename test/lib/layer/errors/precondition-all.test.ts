// What is refused of calls for many layers.
import { LayerPreconditioner, preconditionAll, preconditionAllSync } from 'cgfac';
import { type Case, codes, layer, recorded, testRefusals, untyped, vector } from '../../../support/refusals';

const { type, value, shape, missing, unknown, overlap } = codes;

const solvingAll =
  (...systems: unknown[]) =>
  () =>
    preconditionAllSync(untyped(systems));

const table: Case[] = [
  // many layers
  {
    what: 'systems that are no array',
    code: type,
    message: 'Expected an array of { layer, v } for systems but received an object with keys (none)',
    call: () => preconditionAllSync(untyped({})),
  },
  {
    what: 'a system that is no object',
    code: type,
    message: 'Expected an options object for the options of preconditionAllSync, systems[0] but received null',
    call: solvingAll(null),
  },
  {
    what: 'an unknown name of a system',
    code: unknown,
    message: "Expected one of layer, v, out for an option of preconditionAllSync, systems[1] but received 'vector'",
    call: () => solvingAll({ layer: recorded(), v: vector() }, { layer: recorded(), vector: vector() })(),
  },
  {
    what: 'an unknown option of preconditionAll',
    code: unknown,
    message: "Expected one of signal for an option of preconditionAll but received 'out'",
    call: () => preconditionAll([], untyped({ out: [] })),
  },
  {
    what: 'a system without a layer',
    code: missing,
    message:
      'Expected a LayerPreconditioner for layer of preconditionAllSync, systems[0], which has no default, but ' +
      'received undefined',
    call: solvingAll({ v: vector() }),
  },
  {
    what: 'a system without v',
    code: missing,
    message:
      'Expected a right-hand side for v of preconditionAll, systems[0], which has no default, but received undefined',
    call: () => preconditionAll(untyped([{ layer: recorded() }])),
  },
  {
    what: 'a layer that is none',
    code: type,
    message: 'Expected a LayerPreconditioner for systems[0].layer but received an object with keys (none)',
    call: solvingAll({ layer: {}, v: vector() }),
  },
  {
    what: 'a v of a system of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 3 (outFeatures 3) for systems[0].v.bias but received a Float32Array of ' +
      'length 2',
    call: () => solvingAll({ layer: recorded(), v: { kernel: new Float32Array(6), bias: new Float32Array(2) } })(),
  },
  ...([preconditionAll, preconditionAllSync] as const).flatMap((all): Case[] => [
    {
      what: `the same layer twice in ${all.name}`,
      code: value,
      message:
        'Expected a layer that appears once for systems[2].layer but received an instance of LayerPreconditioner',
      call: () => {
        const twice = recorded();
        return all([twice, recorded(), twice].map((each) => ({ layer: each, v: vector() })));
      },
    },
    {
      what: `a layer without a batch in ${all.name}`,
      code: 'ERR_CGFAC_NO_RECORD',
      message: 'Expected a batch from record() for precondition but received none',
      call: () =>
        all([recorded(), new LayerPreconditioner<true>(layer())].map((each) => ({ layer: each, v: vector() }))),
    },
    {
      what: `a disposed layer in ${all.name}`,
      code: 'ERR_CGFAC_DISPOSED',
      message: 'Expected a live LayerPreconditioner for this call but received one that was disposed of',
      call: () => {
        const disposed = recorded();
        disposed.dispose();
        return all([recorded(), disposed].map((each) => ({ layer: each, v: vector() })));
      },
    },
  ]),
  ...([preconditionAll, preconditionAllSync] as const).flatMap((all) =>
    (
      [
        'two outputs that overlap',
        "an output that is a later layer's v",
        "an output that is an earlier layer's v",
      ] as const
    ).map(
      (what): Case => ({
        what: `${what} in ${all.name}`,
        code: overlap,
        message: 'Expected arrays that share no memory with those of another layer for out but received an overlap',
        call: () => {
          const shared = vector();
          const first = what.includes('earlier') ? { v: shared } : { v: vector(), out: shared };
          const second = what.includes('later') ? { v: shared } : { v: vector(), out: shared };
          return all([
            { layer: recorded(), ...first },
            { layer: recorded(), ...second },
          ]);
        },
      }),
    ),
  ),
];

testRefusals(table);
