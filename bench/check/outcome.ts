/** What came of one comparison. */
export interface Outcome {
  readonly name: string;
  readonly passed: boolean;
  readonly figures: string;
}
