/**
 * From the tape of a forward pass to the layers that it went through: kernels, their biases, and the sites that use
 * them.
 */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import { KINDS } from '../kinds/kinds';
import { type Layer, type Site, type View, variablesOf } from '../kinds/layer-kind';
import { dependents, inputsOf, leadingTo, producers } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** Ops that show a variable in another form without computing anything. */
const VIEWS: readonly string[] = ['Identity', 'Cast', 'Reshape', 'Transpose'];

/** A trainable variable that no layer has, and why: it has a diagonal block. */
export interface LoneVariable {
  readonly variable: Variable;
  /** The op that uses it, or what is in the way of its being a layer's. */
  readonly reason: string;
}

/** A lone variable, and where the loss depends on it. */
export interface UsedVariable extends LoneVariable {
  /** The ops that use it, penalties apart. */
  readonly nodes: readonly TapeNode[];
}

/**
 * Every trainable variable that the loss depends on, once: as a kernel or a bias of a layer, or alone.
 */
export interface Layers {
  readonly layers: readonly Layer[];
  readonly lone: readonly UsedVariable[];
  /** For every variable with penalties, the ids of the tensors that their gradient passes on its way from the loss. */
  readonly penalties: ReadonlyMap<Variable, ReadonlySet<number>>;
}

interface Use {
  readonly node: TapeNode;
  readonly name: string;
  readonly view: View;
}

/** The view that `node` gives of `view`, or `undefined` when it does more than show it. */
function viewThrough(node: TapeNode, view: View): View | undefined {
  const [output] = node.outputs;
  if (output?.dtype !== 'float32') return undefined;
  const shape = output.shape;
  switch (node.kernel) {
    case 'Identity':
    case 'Cast':
      return view;
    case 'Reshape': {
      // The order of the numbers stays; of a transposed matrix only axes of length 1 may come and go.
      const proper = (lengths: readonly number[]) => lengths.filter((length) => length !== 1).join();
      return view.transposed && proper(shape) !== proper(view.shape) ? undefined : { ...view, shape };
    }
    case 'Transpose': {
      const { perm } = node.attributes;
      if (!Array.isArray(perm)) return undefined;
      const last = perm.length - 1;
      if (perm.slice(0, -2).some((from, axis) => from !== axis)) return undefined;
      return { ...view, shape, transposed: perm[last] === last ? view.transposed : !view.transposed };
    }
    default:
      return undefined;
  }
}

/**
 * Where the variables are used on the way to the loss, seen through their views, and the tensors that are such views.
 */
function usesOf(
  tape: readonly TapeNode[],
  variables: readonly Variable[],
): { uses: Use[]; views: ReadonlyMap<number, View> } {
  const uses: Use[] = [];
  const views = new Map<number, View>(
    variables.map((variable) => [variable.id, { variable, transposed: false, shape: variable.shape }]),
  );
  for (const node of tape) {
    for (const [name, input] of node.inputs) {
      const view = views.get(input.id);
      if (!view) continue;
      const shown = VIEWS.includes(node.kernel) ? viewThrough(node, view) : undefined;
      if (shown) for (const output of node.outputs) views.set(output.id, shown);
      else uses.push({ node, name, view });
    }
  }
  return { uses, views };
}

/** Ops that a penalty joins the loss by. */
const SUMS: readonly string[] = ['Add', 'AddN', 'Sub'];

/**
 * Whether a use is a penalty on the weights: everything computed from it is summed up to single numbers without meeting
 * another tensor, or a number that is not a constant but in a sum. Its gradient belongs to v, and not to the Fisher
 * matrix.
 *
 * @param fromVariables - The ids of all that depends on variables.
 */
function isPenalty(tape: readonly TapeNode[], use: Use, fromVariables: ReadonlySet<number>): boolean {
  const used = use.node.inputs.get(use.name)?.id;
  const own = new Set<number>();
  for (const node of tape.slice(tape.indexOf(use.node))) {
    const belongs = (id: number) => own.has(id) || (node === use.node && id === used);
    const sums = SUMS.includes(node.kernel);
    const ids = inputsOf(node).flatMap(({ id, size }) =>
      size > 1 || (!sums && (belongs(id) || fromVariables.has(id))) ? [id] : [],
    );
    if (node !== use.node && !ids.some(belongs)) continue;
    if (!ids.every(belongs)) return false;
    for (const output of node.outputs) own.add(output.id);
  }
  return true;
}

/** The outputs that a bias may still be added to, by tensor id: those of sites, and of reshapes of nothing but them. */
function openOutputs(tape: readonly TapeNode[], sites: readonly Site[]): Map<number, Site> {
  const readers = new Map<number, number>();
  for (const node of tape) {
    for (const input of inputsOf(node)) readers.set(input.id, (readers.get(input.id) ?? 0) + 1);
  }
  const open = new Map<number, Site>();
  const offer = (id: number, site: Site) => {
    if (readers.get(id) === 1) open.set(id, site);
  };
  for (const site of sites) {
    if (site.bias.is === 'addition') for (const output of site.node.outputs) offer(output.id, site);
  }
  for (const node of tape) {
    const [input] = inputsOf(node);
    const [output] = node.outputs;
    const site = input && node.kernel === 'Reshape' ? open.get(input.id) : undefined;
    if (site && output && output.shape.at(-1) === site.outFeatures) offer(output.id, site);
  }
  return open;
}

/** The site that a use adds a bias to, if it does that and nothing else. */
function siteOfBias(use: Use, sites: readonly Site[], open: ReadonlyMap<number, Site>): Site | undefined {
  const isRow = (site: Site) =>
    !use.view.transposed && use.view.variable.size === site.outFeatures && use.view.shape.at(-1) === site.outFeatures;
  const own = sites.find(({ node, bias }) => node === use.node && bias.is === 'input' && bias.name === use.name);
  if (own) return isRow(own) ? own : undefined;
  if (use.node.kernel !== 'Add') return undefined;
  const other = use.node.inputs.get(use.name === 'a' ? 'b' : 'a');
  const site = other && open.get(other.id);
  return site && isRow(site) ? site : undefined;
}

/**
 * The samples that the rows of a site come from: the least number of rows that its data had on the way through
 * reshapes.
 */
function samplesOf(site: Site, made: ReadonlyMap<number, TapeNode>): number {
  if (site.samples !== undefined) return site.samples;
  let samples = site.rows;
  let tensor: Tensor | undefined = site.reshapesData ? made.get(site.data.id)?.inputs.get('x') : site.data;
  while (tensor) {
    const [leading = 1] = tensor.shape;
    if (site.rows % leading === 0) samples = Math.min(samples, leading);
    const node: TapeNode | undefined = made.get(tensor.id);
    tensor = node?.kernel === 'Reshape' ? node.inputs.get('x') : undefined;
  }
  return samples;
}

/** What a use makes of its variable. */
type Role = { readonly is: 'kernel' | 'bias'; readonly site: Site } | { readonly is: 'penalty' | 'other' };

function rolesOf(tape: readonly TapeNode[], uses: readonly Use[], views: ReadonlyMap<number, View>): Map<Use, Role> {
  const roles = new Map<Use, Role>();
  for (const use of uses) {
    const site = KINDS.map((kind) => kind.siteAt(use.node, use.name, use.view)).find((found) => found !== undefined);
    if (site && !views.has(site.data.id)) roles.set(use, { is: 'kernel', site });
  }
  const sites = [...roles.values()].flatMap((role) => (role.is === 'kernel' ? [role.site] : []));
  const open = openOutputs(tape, sites);
  const fromVariables = dependents(tape, views.keys());
  for (const use of uses) {
    if (roles.has(use)) continue;
    const site = siteOfBias(use, sites, open);
    roles.set(use, site ? { is: 'bias', site } : { is: isPenalty(tape, use, fromVariables) ? 'penalty' : 'other' });
  }
  return roles;
}

/** The sites of the variables that are kernels, or biases, and penalised at most besides. */
function sitesOf(roles: ReadonlyMap<Use, Role>, is: 'kernel' | 'bias'): Map<Variable, Site[]> {
  const found = new Map<Variable, Site[]>();
  for (const [{ view }, role] of roles) {
    if (role.is === is) found.set(view.variable, [...(found.get(view.variable) ?? []), role.site]);
  }
  for (const [{ view }, role] of roles) {
    if (role.is !== is && role.is !== 'penalty') found.delete(view.variable);
  }
  return found;
}

function haveOneForm([first, ...others]: readonly Site[]): boolean {
  return others.every(
    (site) =>
      site.kernelLayout === first?.kernelLayout &&
      site.inFeatures === first.inFeatures &&
      site.outFeatures === first.outFeatures,
  );
}

/** The ids that the gradient of a variable's penalties passes. */
function penaltiesOf(
  tape: readonly TapeNode[],
  roles: ReadonlyMap<Use, Role>,
  views: ReadonlyMap<number, View>,
): Map<Variable, Set<number>> {
  const penalties = new Map<Variable, Set<number>>();
  for (const [{ view, node }, role] of roles) {
    if (role.is !== 'penalty') continue;
    const passed =
      penalties.get(view.variable) ??
      new Set([...views].flatMap(([id, shown]) => (shown.variable === view.variable ? [id] : [])));
    for (const id of dependents(
      tape,
      node.outputs.map((output) => output.id),
    ))
      passed.add(id);
    penalties.set(view.variable, passed);
  }
  return penalties;
}

/** Why a variable is not preconditioned: the op that uses it, where that is one that no kind of layer knows. */
function reasonOf(variable: Variable, roles: ReadonlyMap<Use, Role>): string {
  const own = [...roles].filter(([use]) => use.view.variable === variable);
  const [other] = own.find(([, role]) => role.is === 'other') ?? [];
  if (other) return other.node.kernel;
  const is = (name: Role['is']) => own.some(([, role]) => role.is === name);
  if (is('kernel')) return 'used in two forms';
  return is('bias') ? 'a bias of no one kernel' : 'only in a penalty';
}

/**
 * The ops that use a variable, penalties apart. Of a loss that depends on its variables in penalties alone these are
 * what it is.
 */
function nodesOf(variable: Variable, roles: ReadonlyMap<Use, Role>): TapeNode[] {
  const all = [...roles.values()].every(({ is }) => is === 'penalty');
  return [...roles].flatMap(([{ view, node }, { is }]) =>
    view.variable === variable && (all || is !== 'penalty') ? [node] : [],
  );
}

/**
 * Sorts the trainable `variables` that the loss depends on into layers, which are preconditioned as one block each, and
 * lone variables. Regularisation does not keep a kernel from being one; any other use that is
 * not a site does.
 */
export function findLayers(tape: readonly TapeNode[], variables: readonly Variable[], loss: Tensor): Layers {
  const live = leadingTo(tape, loss.id);
  const made = producers(live);
  const { uses, views } = usesOf(live, variables);
  const roles = rolesOf(live, uses, views);
  const biases = sitesOf(roles, 'bias');
  const layers: Layer[] = [];
  for (const [kernel, sites] of sitesOf(roles, 'kernel')) {
    if (!haveOneForm(sites)) continue;
    // The bias is added at every site of the kernel, and at no other's.
    const [bias] =
      [...biases].find(([, at]) => at.length === sites.length && sites.every((site) => at.includes(site))) ?? [];
    const [first, ...others] = sites.map((site) => ({ ...site, samples: samplesOf(site, made) }));
    if (first) layers.push({ kernel, bias, sites: [first, ...others] });
  }
  const preconditioned = new Set(layers.flatMap(variablesOf));
  const used = new Set(uses.map((use) => use.view.variable));
  const lone = variables
    .filter((variable) => used.has(variable) && !preconditioned.has(variable))
    .map((variable) => ({ variable, reason: reasonOf(variable, roles), nodes: nodesOf(variable, roles) }));
  return { layers, lone, penalties: penaltiesOf(live, roles, views) };
}
