/**
 * From the tape of a forward pass to the layers that it went through: kernels, their biases, and the sites that use
 * them.
 */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import { KINDS } from '../kinds/kinds';
import { type Block, type Layer, type LayerSite, outputsOf, type Site, variablesOf } from '../kinds/layer-kind';
import { makeUpWhole, type Part } from '../kinds/part';
import { dependents, inputsOf, leadingTo, producers } from '../tape/graph';
import type { TapeNode } from '../tape/tape';
import { attendedOf } from './attention';
import { type BiasUses, biasesOf, byPart, type Group, openOutputs, sitesOfBias } from './biases';
import { depthsOf } from './depth';
import { layerSites, runsOf } from './slices';
import { type Use, type Uses, usesOf } from './views';

/** A trainable variable that no layer has, and why: it has a diagonal block. */
export interface LoneVariable {
  readonly variable: Variable;
  /** The op that uses it, or what is in the way of its being a layer's. */
  readonly reason: string;
}

/** A lone variable, and where the loss depends on it. */
export interface UsedVariable extends LoneVariable {
  /** Whether an attention is computed from it. */
  readonly attended: boolean;
  /** The ops that use it, penalties apart. */
  readonly nodes: readonly TapeNode[];
}

/** A layer on the tape. */
export interface FoundLayer extends Layer {
  /** Whether a site of it works on what another one made. */
  readonly recurrent: boolean;
  /** Whether an attention is computed from what it gives. */
  readonly attended: boolean;
  /** How many layers its data have passed, where that says which others it stands beside. */
  readonly depth: number | undefined;
}

/**
 * Every trainable variable that the loss depends on, once: as a kernel or a bias of a layer, or alone.
 */
export interface Layers {
  readonly layers: readonly FoundLayer[];
  readonly lone: readonly UsedVariable[];
  /** For every variable with penalties, the ids of the tensors that their gradient passes on its way from the loss. */
  readonly penalties: ReadonlyMap<Variable, ReadonlySet<number>>;
}

/** Ops that a penalty joins the loss by. */
const SUMS: readonly string[] = ['Add', 'AddN', 'Sub'];

/** What depends on variables, and of that what depends on the outputs of layers: ids. */
interface Dependent {
  readonly onVariables: ReadonlySet<number>;
  readonly onLayers: ReadonlySet<number>;
}

/**
 * Whether a use is a penalty on the weights: everything computed from it is summed up to single numbers without meeting
 * another tensor, or a number that is not a constant but in a sum, on its way to the loss or to what layers make of it.
 * Its gradient belongs to v, and not to the Fisher matrix.
 */
function isPenalty(tape: readonly TapeNode[], use: Use, { onVariables, onLayers }: Dependent): boolean {
  const used = use.node.inputs.get(use.name)?.id;
  const own = new Set<number>();
  for (const node of tape.slice(tape.indexOf(use.node))) {
    const inputs = inputsOf(node);
    const belongs = (id: number) => own.has(id) || (node === use.node && id === used);
    if (node !== use.node && !inputs.some(({ id }) => belongs(id))) continue;
    const sums = SUMS.includes(node.kernel);
    const others = inputs.filter(({ id }) => !belongs(id));
    if (!others.every(({ id, size }) => size <= 1 && (sums || !onVariables.has(id)))) return false;
    // the loss of the data: what becomes of both is no question of the penalty
    if (sums && others.some(({ id }) => onLayers.has(id))) continue;
    for (const output of node.outputs) own.add(output.id);
  }
  return true;
}

/**
 * The samples that the rows of a site come from: the least number of rows that its data had on the way through
 * reshapes.
 */
function samplesOf(site: LayerSite, made: ReadonlyMap<number, TapeNode>): number {
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
type Role =
  | { readonly is: 'kernel'; readonly site: Site }
  | { readonly is: 'bias'; readonly sites: readonly Site[] }
  | { readonly is: 'penalty' | 'other' };

type Roles = ReadonlyMap<Use, Role>;

function rolesOf(tape: readonly TapeNode[], { uses, views }: Uses): Map<Use, Role> {
  const roles = new Map<Use, Role>();
  for (const use of uses) {
    const site = KINDS.map((kind) => kind.siteAt(use.node, use.name, use.view)).find((found) => found !== undefined);
    const shown = site && (site.takesTiled === true || !use.view.tiled);
    if (site && shown && !views.has(site.data.id)) roles.set(use, { is: 'kernel', site });
  }
  const sites = [...roles.values()].flatMap((role) => (role.is === 'kernel' ? [role.site] : []));
  const open = openOutputs(tape, sites);
  let known: Dependent | undefined;
  const dependent = () => {
    const made = sites.flatMap(({ node }) => node.outputs.map(({ id }) => id));
    known ??= { onVariables: dependents(tape, views.keys()), onLayers: dependents(tape, made) };
    return known;
  };
  for (const use of uses) {
    if (roles.has(use)) continue;
    const of = sitesOfBias(use, sites, open);
    const other = () => (isPenalty(tape, use, dependent()) ? 'penalty' : 'other');
    roles.set(use, of.length > 0 ? { is: 'bias', sites: of } : { is: other() });
  }
  return roles;
}

/** The variables whose uses have one role, penalties apart, each with these uses. */
function usedAs(roles: Roles, is: 'kernel' | 'bias'): Map<Variable, (readonly [Use, Role])[]> {
  const found = new Map<Variable, (readonly [Use, Role])[]>();
  for (const [use, role] of roles) {
    const { variable } = use.view;
    if (role.is === is) found.set(variable, [...(found.get(variable) ?? []), [use, role]]);
  }
  for (const [{ view }, role] of roles) {
    if (role.is !== is && role.is !== 'penalty') found.delete(view.variable);
  }
  return found;
}

/** The parts of each kernel with their sites, in the order of their first use; of those that are used in one form. */
function groupsOf(tape: readonly TapeNode[], roles: Roles): Group[][] {
  return [...usedAs(roles, 'kernel').values()].flatMap((uses): Group[][] => {
    const found = byPart(
      uses.flatMap(([{ view }, role]) => (role.is === 'kernel' ? [[view, role.site] as const] : [])),
    );
    if (!makeUpWhole(found.map(({ part }) => part)) || !found.every(({ of }) => haveOneForm(of))) return [];
    return [
      found.map(({ part: { variable, range }, of }) => {
        return { part: { variable, range }, sites: of, recurrent: isRecurrent(tape, of) };
      }),
    ];
  });
}

/** The parts of each bias, with the sites of each use. */
function biasUsesOf(roles: Roles): BiasUses[][] {
  return [...usedAs(roles, 'bias').values()].map((uses) =>
    byPart(uses.flatMap(([{ view }, role]) => (role.is === 'bias' ? [[view, role.sites] as const] : []))).map(
      ({ part: { variable, range }, of }) => ({ part: { variable, range }, uses: of }),
    ),
  );
}

function haveOneForm([first, ...others]: readonly Site[]): boolean {
  return others.every(
    (site) =>
      site.kernelLayout === first?.kernelLayout &&
      site.inFeatures === first.inFeatures &&
      site.outFeatures === first.outFeatures &&
      site.form === first.form,
  );
}

/** Whether one of the sites works on what another one made. */
function isRecurrent(tape: readonly TapeNode[], sites: readonly Site[]): boolean {
  if (sites.length < 2) return false;
  const made = dependents(
    tape,
    sites.flatMap(({ node }) => node.outputs.map(({ id }) => id)),
  );
  return sites.some(({ data }) => made.has(data.id));
}

/** The ids that the gradient of a variable's penalties passes. */
function penaltiesOf(tape: readonly TapeNode[], roles: Roles, views: Uses['views']): Map<Variable, Set<number>> {
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

/** The share of a variable that its views show, where none shows what another one does. */
function usedShare(views: readonly Part[]): number {
  return byPart(views.map((view) => [view, view] as const)).reduce(
    (share, { part: { range } }) => share + (range ? (range.to - range.from) / range.length : 1),
    0,
  );
}

/** Why a scale is alone: its block is one of a scale and a shift together. */
const NO_SHIFT = 'no shift';

/** Why the bias of a transposed convolution is alone: its block is a diagonal by design. */
export const TRANSPOSED_BIAS = 'bias of a transposed convolution';

/** Whether a use adds the variable to what a transposed convolution makes. */
function addsToTransposed({ node, name }: Use, made: ReadonlyMap<number, TapeNode>): boolean {
  const other = node.inputs.get(name === 'a' ? 'b' : 'a');
  return node.kernel === 'Add' && other !== undefined && made.get(other.id)?.kernel === 'Conv2DBackpropInput';
}

/** Why a variable is not preconditioned: the op that uses it, where that is one that no kind of layer knows. */
function reasonOf(variable: Variable, roles: Roles, made: ReadonlyMap<number, TapeNode>): string {
  const own = [...roles].filter(([use]) => use.view.variable === variable);
  if (own.some(([, role]) => role.is === 'kernel' && role.site.needsBias)) return NO_SHIFT;
  const [other] = own.find(([, role]) => role.is === 'other') ?? [];
  if (other) return addsToTransposed(other, made) ? TRANSPOSED_BIAS : other.node.kernel;
  const is = (name: Role['is']) => own.some(([, role]) => role.is === name);
  if (is('kernel')) return usedShare(own.map(([{ view }]) => view)) < 1 ? 'used in part' : 'used in two forms';
  if (is('bias')) return 'a bias of no one kernel';
  // of a loss without layers, all of which reads as penalties, the op is what the variable is used by
  const [[use] = []] = own;
  return use && isOfPenalties(roles) ? use.node.kernel : 'only in a penalty';
}

/** Whether a loss depends on its variables in penalties alone: these are what it is. */
const isOfPenalties = (roles: Roles): boolean => [...roles.values()].every(({ is }) => is === 'penalty');

/** The ops that use a variable, penalties apart, unless the loss is made of these. */
function nodesOf(variable: Variable, roles: Roles): TapeNode[] {
  const all = isOfPenalties(roles);
  return [...roles].flatMap(([{ view, node }, { is }]) =>
    view.variable === variable && (all || is !== 'penalty') ? [node] : [],
  );
}

/**
 * The layers that are refused, and why: with a layer the others of its variables are, for a variable belongs to layers
 * wholly, or is alone.
 */
export function refusedOf<T extends Block>(
  layers: readonly T[],
  refused: (layer: T) => string | undefined,
): ReadonlyMap<T, string> {
  const reasons = new Map<T, string>();
  for (const layer of layers) {
    const reason = refused(layer);
    if (reason !== undefined) reasons.set(layer, reason);
  }
  for (let known = -1; known < reasons.size; ) {
    known = reasons.size;
    const alone = new Map([...reasons].flatMap(([layer, reason]) => variablesOf(layer).map((each) => [each, reason])));
    for (const layer of layers) {
      const reason = variablesOf(layer).flatMap((variable) => alone.get(variable) ?? [])[0];
      if (reason !== undefined && !reasons.has(layer)) reasons.set(layer, reason);
    }
  }
  return reasons;
}

/**
 * Sorts the trainable `variables` that the loss depends on into layers, which are preconditioned as one block each, and
 * lone variables. A kernel of which every part is used in products of its own is a layer for each part that has inputs
 * of its own. Regularisation does not keep a kernel from being one; any other use that is not a site does.
 */
export function findLayers(tape: readonly TapeNode[], variables: readonly Variable[], loss: Tensor): Layers {
  const live = leadingTo(tape, loss.id);
  const made = producers(live);
  const uses = usesOf(live, variables);
  const roles = rolesOf(live, uses);
  const kernels = groupsOf(live, roles);
  const biases = biasesOf(biasUsesOf(roles), kernels.flat());
  const attended = attendedOf(live, new Set(uses.views.keys()));
  const found = kernels.flatMap((groups) =>
    runsOf(groups, biases, made).map((run) => {
      const { kernel, bias } = run;
      const known = (site: LayerSite) => ({ ...site, samples: samplesOf(site, made) });
      const [first, ...others] = layerSites(run);
      const sites: Layer['sites'] = [known(first), ...others.map(known)];
      const { recurrent } = run.groups[0];
      return { kernel, bias, sites, recurrent, attended: [...outputsOf(sites)].some((id) => attended.has(id)) };
    }),
  );
  const lacking = refusedOf(found, ({ bias, sites: [site] }) => (site.needsBias && !bias ? NO_SHIFT : undefined));
  const proper = found.filter((layer) => !lacking.has(layer));
  const once = proper.filter(({ sites }) => sites.length === 1);
  const ops = once.flatMap((layer) => layer.sites[0].ops.map(({ node }) => [node, layer] as const));
  const depths = depthsOf(live, new Map(ops));
  const layers = proper.map((layer): FoundLayer => ({ ...layer, depth: depths.get(layer) }));
  const preconditioned = new Set(layers.flatMap(variablesOf));
  const used = new Set(uses.uses.map((use) => use.view.variable));
  const lone = variables
    .filter((variable) => used.has(variable) && !preconditioned.has(variable))
    .map((variable): UsedVariable => {
      const reason = reasonOf(variable, roles, made);
      return { variable, reason, nodes: nodesOf(variable, roles), attended: attended.has(variable.id) };
    });
  return { layers, lone, penalties: penaltiesOf(live, roles, uses.views) };
}
