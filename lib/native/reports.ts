// Made by scripts/generate-reports.mjs of binding/node/convert/reports.json.

/** The names that Method counts in a report. */
export const methodNames = ['auto', 'cg', 'exact', 'kfac'] as const;

/** The method that a direction was solved by: what 'auto' chose, never itself. */
export type MethodUsed = 'cg' | 'exact' | 'kfac';

/** The names that Reason counts in a report. */
export const reasonNames = [
  'converged',
  'max-iterations',
  'stagnated',
  'indefinite',
  'broken-down',
  'solved',
  'no-curvature',
] as const;

/** The names that Space counts in a report. */
export const spaceNames = ['gram', 'weight', 'rows'] as const;

/** The names that Basis counts in a report. */
export const basisNames = ['plain', 'tridiagonal'] as const;

/** The names that Form counts in a report. */
export const formNames = ['panel', 'covariance'] as const;

/** The places of a SolveReport; NaN stands for what is not known. */
export const solveReport = {
  /** Method that was used: never auto. */
  method: 0,
  /** Conjugate-gradient iterations; 0 for the other methods. */
  iterations: 1,
  /** ‖r‖/‖v‖ at the end of conjugate gradients. */
  residual: 2,
  /** ‖r‖/‖v‖ at their start. */
  initialResidual: 3,
  /** Reason why the solve ended. */
  reason: 4,
  /** Space that it was solved in. */
  space: 5,
  /** Basis of the iterations in Gram space. */
  basis: 6,
  /** Form of the input side. */
  inputForm: 7,
  /** Form of the output side. */
  outputForm: 8,
  /** λ, or γ of the input side. */
  damping: 9,
  /** γ of the output side. */
  outputDamping: 10,
  /** The largest eigenvalue of F. */
  lambdaMax: 11,
  /** Σ E/(E + λ). */
  effectiveRank: 12,
  /** Eigenvalues that rounding had made negative. */
  clamped: 13,
  /** ⟨v, x⟩. */
  vx: 14,
  /** xᵀF x. */
  xFx: 15,
  /** ‖x‖². */
  xx: 16,
} as const;

/** The length of a SolveReport. */
export const solveReportLength = 17;

/** The places of a StepReport; NaN stands for what is not known. */
export const stepReport = {
  /** Method that was used: never auto. */
  method: 0,
  /** Conjugate-gradient iterations; 0 for the other methods. */
  iterations: 1,
  /** ‖r‖/‖v‖ at the end of conjugate gradients. */
  residual: 2,
  /** ‖r‖/‖v‖ at their start. */
  initialResidual: 3,
  /** Reason why the solve ended. */
  reason: 4,
  /** Space that it was solved in. */
  space: 5,
  /** Basis of the iterations in Gram space. */
  basis: 6,
  /** Form of the input side. */
  inputForm: 7,
  /** Form of the output side. */
  outputForm: 8,
  /** λ, or γ of the input side. */
  damping: 9,
  /** γ of the output side. */
  outputDamping: 10,
  /** The largest eigenvalue of F. */
  lambdaMax: 11,
  /** Σ E/(E + λ). */
  effectiveRank: 12,
  /** Eigenvalues that rounding had made negative. */
  clamped: 13,
  /** ⟨v, x⟩. */
  vx: 14,
  /** xᵀF x. */
  xFx: 15,
  /** ‖x‖². */
  xx: 16,
  /** ≥ ‖x‖. */
  bound: 17,
  /** 1 where conjugate gradients began again at zero. */
  restarted: 18,
  /** Rows that the input factor took in last. */
  inputRows: 19,
  /** Rows that the output factor took in last. */
  outputRows: 20,
  /** The trace of A. */
  inputTrace: 21,
  /** The trace of G. */
  outputTrace: 22,
  /** The largest eigenvalue of A. */
  inputLargest: 23,
  /** The largest eigenvalue of G. */
  outputLargest: 24,
  /** Σ s/(s + γ) of A. */
  inputEffectiveRank: 25,
  /** Σ s/(s + γ) of G. */
  outputEffectiveRank: 26,
  /** ⟨v, M⟩ with the momentum that was given. */
  momentumProduct: 27,
  /** Samples whose products were asked for and known. */
  sampled: 28,
  /** ‖x‖, where products were asked for. */
  norm: 29,
  /** Time that the layer took, the final product apart. */
  microseconds: 30,
} as const;

/** The length of a StepReport. */
export const stepReportLength = 31;
