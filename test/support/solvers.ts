/**
 * What there is to test of every way of solving: how it is asked for, how near it comes to another way to the same
 * solution, and which entries of the tables of layers and networks it has. Another one is added here alone.
 */
import type { LayerPreconditionerOptions } from 'cgfac';
import type { Table } from './table';

/** Half a unit in the last place of float32, relative. */
export const unitRoundoff = 2 ** -24;

type MethodOptions = Omit<
  LayerPreconditionerOptions,
  'inFeatures' | 'outFeatures' | 'bias' | 'damping' | 'lossReduction' | 'kernelLayout'
>;

/**
 * What two ways to a solution may differ by, from the condition (λ + λmax)/λ, ‖x‖, ‖v‖ and λ: twice the bounds of the
 * golden cases, the second for the rounding of a gradient that is formed.
 */
type Bound = (condition: number, x: number, v: number, damping: number) => number;

/** Conjugate gradients end at the float32 floor, ‖r‖ ≤ 2⁻¹¹‖v‖. */
const floor: Bound = (_, __, v, damping) => (2 * 2 ** -11 * v) / damping;

/** Every way of solving that a layer can be asked for. */
export const methods = {
  'cg in Gram space': { options: { method: 'cg', space: 'gram', tolerance: 0 }, bound: floor },
  'cg in weight space': { options: { method: 'cg', space: 'weight', tolerance: 0 }, bound: floor },
  exact: {
    options: { method: 'exact' },
    bound: (condition, x) => 8 * unitRoundoff * condition * x,
    spectrum: true,
  },
  'exact, factored': { options: { method: 'exact', dampingMode: 'factored' }, bound: (_, x) => 2e-3 * x },
  'exact, per sample': { options: { method: 'exact', block: 'sample' }, bound: (_, x) => 1e-2 * x },
  kfac: { options: { method: 'kfac' }, bound: (condition, x) => 80 * unitRoundoff * condition * x },
  'kfac, factored': { options: { method: 'kfac', dampingMode: 'factored' }, bound: (_, x) => 2e-3 * x },
  auto: { options: { method: 'auto', tolerance: 0 }, bound: floor },
} as const satisfies Record<
  string,
  { readonly options: MethodOptions; readonly bound: Bound /** Whether it has one. */; readonly spectrum?: true }
>;

const refused = (message: string) => ({ code: 'ERR_CGFAC_INVALID_ARG_VALUE', message }) as const;

/** The table of a layer. */
export const layerTable: Table = {
  working: 76,
  refused: 116,
  rows: [
    { where: { block: ['kronecker'], method: ['cg'], dampingMode: ['tikhonov'] } },
    { where: { block: ['kronecker'], method: ['exact', 'auto'] } },
    { where: { block: ['kronecker'], method: ['kfac'], factorHistory: ['dense'] } },
    { where: { block: ['sample'], method: ['exact', 'auto'], dampingMode: ['tikhonov'], factorHistory: ['none'] } },
    {
      where: { method: ['cg'], dampingMode: ['factored'] },
      refused: refused("Expected 'exact', 'kfac' or 'auto' with dampingMode 'factored' for method but received 'cg'"),
    },
    {
      where: { block: ['kronecker'], method: ['kfac'], factorHistory: ['none', 'panel'] },
      refused: refused("(direct K-FAC's factors are dense running averages) for method but received 'kfac'"),
    },
    {
      where: { block: ['sample'], method: ['exact', 'auto', 'kfac'], dampingMode: ['factored'] },
      refused: refused("Expected 'tikhonov' with block 'sample' for dampingMode but received 'factored'"),
    },
    {
      where: { block: ['sample'], method: ['cg', 'kfac'], dampingMode: ['tikhonov'] },
      refused: refused("Expected 'exact' or 'auto' with block 'sample' for method but received"),
    },
    {
      where: {
        block: ['sample'],
        method: ['exact', 'auto'],
        dampingMode: ['tikhonov'],
        factorHistory: ['panel', 'dense'],
      },
      refused: refused("Expected 'none' with block 'sample' (a sum over samples has no factors to average)"),
    },
  ],
};

/** The table of a network, which has no option for its block. */
export const networkTable: Table = {
  working: 56,
  refused: 136,
  rows: [
    { where: { block: ['kronecker'], method: ['cg', 'auto'], dampingMode: ['tikhonov'] } },
    { where: { block: ['kronecker'], method: ['exact'] } },
    { where: { block: ['kronecker'], method: ['kfac'], factorHistory: ['dense'] } },
    {
      where: { block: ['kronecker'], method: ['cg', 'auto'], dampingMode: ['factored'] },
      refused: refused("Expected 'exact' or 'kfac' with dampingMode 'factored' for method but received"),
    },
    {
      where: { block: ['kronecker'], method: ['kfac'], factorHistory: ['none', 'panel'] },
      refused: refused("(direct K-FAC's factors are dense running averages) for method but received 'kfac'"),
    },
    {
      where: { block: ['sample'] },
      refused: { code: 'ERR_CGFAC_UNKNOWN_OPTION', message: "for an option of Preconditioner but received 'block'" },
    },
  ],
};
