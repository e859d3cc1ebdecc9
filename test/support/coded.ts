/** What calls may end in, whatever they are given. */
import { CgfacError } from 'cgfac';

/** Content, or an error of the package that blames the argument. */
export function expectCoded(error: unknown): void {
  if (error === undefined) return;
  expect(error).toBeInstanceOf(CgfacError);
  expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_CGFAC_(?!INTERNAL)/) });
}
