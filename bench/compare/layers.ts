/** What the layers of this package's optimizers tell, as a table has it. */
import type { EffectiveRanks } from 'cgfac';
import type { CgfacOptimizer } from 'cgfac/tfjs';

/** A layer in the last step of a run, and what it is. */
export interface LayerRow {
  readonly name: string;
  readonly kind: string;
  readonly shape: string;
  /** Forms of A and G. */
  readonly forms: string;
  /** Rows that A and G took in last. */
  readonly rows: string;
  /** λmax/λ. */
  readonly lambdaMaxOverDamping: number | null;
  /** Σ s/(s + γ) of A and of G, or Σ E/(E + λ) of F. */
  readonly effectiveRank: string;
  readonly stableRank: string;
  readonly iterations: number;
  /** ‖r‖/‖v‖ at the start and at the end, of conjugate gradients. */
  readonly initialResidual: number | null;
  readonly residual: number | null;
  /** What its direction was multiplied by. */
  readonly coefficient: number | null;
  /** Why its solve ended, or why it is a diagonal. */
  readonly reason: string;
  readonly milliseconds: number;
}

const rounded = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function ranks(value: EffectiveRanks | number | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'number' ? rounded(value) : `${rounded(value.input)} · ${rounded(value.output)}`;
}

/** A name without the number that TensorFlow.js counts all layers of a process by, after its place among these. */
const ownName = (name: string, place: number) => `${place + 1} ${name.replace(/_[A-Z][A-Za-z0-9]*?\d+(?=\/)/, '')}`;

/** The layers of an optimizer after a run, in their order; none before a step was taken. */
export function layerRows(optimizer: CgfacOptimizer): LayerRow[] {
  const steps = optimizer.lastStep?.summary?.layers ?? [];
  return (optimizer.report()?.layers ?? []).flatMap((layer, place) => {
    const step = steps.find(({ name }) => name === layer.name);
    if (step === undefined) return [];
    return [
      {
        name: ownName(layer.name, place),
        kind: layer.kind,
        shape: layer.shape,
        forms: `${layer.input.form} · ${layer.output.form}`,
        rows: `${layer.input.rows} · ${layer.output.rows}`,
        lambdaMaxOverDamping: step.lambdaMaxOverDamping ?? null,
        effectiveRank: ranks(step.effectiveRank),
        stableRank: ranks(step.stableRank),
        iterations: step.iterations,
        initialResidual: step.initialResidual ?? null,
        residual: step.residual ?? null,
        coefficient: step.stepSize ?? null,
        reason: layer.reason === undefined ? step.reason : `${step.reason}; ${layer.reason}`,
        milliseconds: step.microseconds / 1000,
      },
    ];
  });
}
