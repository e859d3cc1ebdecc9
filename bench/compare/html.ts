/** Pieces of HTML. */
import { shown } from './words';

/** HTML as text that is safe to put into other HTML. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] ?? sign);

/** The place of a figure in the JSON of a comparison: `tasks.0.methods.3.ms`. */
export type Path = string;

/** A figure that names its place in the JSON, by which a test holds the two together. */
export const figure = (path: Path, value: number | null | undefined, text: string = shown(value)): string =>
  `<span data-figure="${path}">${escaped(text)}</span>`;

/** A cell of a table; one of figures is aligned at its end. */
export const cell = (content: string, kind: 'text' | 'figure' = 'figure'): string =>
  `<td${kind === 'text' ? ' class="text"' : ''}>${content}</td>`;

/** A table that scrolls by itself where the page is narrower. */
export function table(caption: string, head: readonly string[], rows: readonly string[]): string {
  const heads = head
    .map((each) =>
      each === 'reason' || each.endsWith('kept as')
        ? `<th scope="col" class="text">${each}</th>`
        : `<th scope="col">${each}</th>`,
    )
    .join('');
  return (
    `<div class="scroll" tabindex="0" role="region" aria-label="${escaped(caption)}"><table>` +
    `<caption>${escaped(caption)}</caption><thead><tr>${heads}</tr></thead><tbody>${rows.join('\n')}</tbody>` +
    '</table></div>'
  );
}
