/** What is used of jasmine-core, which brings no types: those of jest name the same globals. */
declare module 'jasmine-core/lib/jasmine-core/jasmine.js' {
  interface SpecResult {
    readonly fullName: string;
    readonly status: 'passed' | 'failed' | 'pending' | 'excluded';
    readonly failedExpectations: readonly { readonly message: string }[];
  }
  interface Env {
    configure(options: { random: boolean }): void;
    addReporter(reporter: { specDone(result: SpecResult): void }): void;
    execute(): Promise<unknown>;
  }
  interface Jasmine {
    getEnv(options: { suppressLoadErrors: boolean }): Env;
  }
  const required: {
    core(self: unknown): Jasmine;
    interface(jasmine: Jasmine, env: Env): object;
  };
  export default required;
}
